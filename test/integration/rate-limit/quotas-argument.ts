import { z } from 'zod';

const quotaSchema = z.object({
  scope: z.string(),
  limit: z.number(),
  windowMs: z.number(),
  weight: z.number(),
  maxWeight: z.number(),
});

/** Quotas that were passed to another process as JSON. */
export function parseQuotas(text: string): z.infer<typeof quotaSchema>[] {
  return z.array(quotaSchema).parse(JSON.parse(text));
}
