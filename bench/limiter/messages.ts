import { z } from 'zod';

/** What the bench tells one of its sending processes, as its only argument. */
export const senderTaskSchema = z.object({
  limiter: z.enum(['ours', 'token-bucket', 'rate-limiter-flexible', 'bottleneck', 'temporal']),
  redisUrl: z.string(),
  temporalAddress: z.string(),
  clientId: z.string(),
  target: z.string(),
  /** Requests the server allows in 60 s. */
  limit: z.int(),
});
export type SenderTask = z.infer<typeof senderTaskSchema>;
export type LimiterName = SenderTask['limiter'];

/** An order to a sending process: start an account's work, or come to an end. */
export const orderSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('send'), account: z.string(), requests: z.int() }),
  z.object({ kind: z.literal('end') }),
]);
export type Order = z.infer<typeof orderSchema>;

/** What a sending process says: it is there, an account is through, it is at its end. */
export const newsSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('through'), account: z.string(), ms: z.number() }),
  z.object({
    kind: z.literal('ended'),
    sentAtMs: z.array(z.number()),
    roundTrips: z.int().nullable(),
    cpuMs: z.number(),
  }),
]);
export type News = z.infer<typeof newsSchema>;

export const targetNewsSchema = z.object({ port: z.int() });
export const targetReportSchema = z.object({
  arrivals: z.array(z.object({ atMs: z.number(), account: z.string(), isRefused: z.boolean() })),
});
export type TargetReport = z.infer<typeof targetReportSchema>;
