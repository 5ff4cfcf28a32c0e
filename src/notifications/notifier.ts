import { z } from 'zod';

/**
 * What a person is told, as data: each notifier writes it in its own way. Times are ISO texts, since messages wait in
 * the database as JSON. The texts in it are plain, of any length, and need not be escaped.
 */
const isoTime = z.iso.datetime({ offset: true });

const account = { accountId: z.string(), accountName: z.string() };

const offerFailureSchema = z.object({
  offerId: z.string(),
  sku: z.string(),
  /** Pieces that the marketplace shows; null: never read. */
  current: z.number().int().nullable(),
  target: z.number().int(),
  errorClass: z.string(),
  error: z.string(),
  /** What to do, as a sentence or a command; absent: not known. */
  action: z.string().optional(),
  attempts: z.number().int(),
  at: isoTime,
  /** Set when the marketplace goes on selling more than there is: how many pieces too many. */
  piecesAtRisk: z.number().int().positive().optional(),
});

/** Offers of one run of one account that could not be corrected. Once per run and account. */
const offerFailuresSchema = z.object({
  kind: z.literal('offer_failures'),
  ...account,
  runId: z.string(),
  /** In the order to be told; more than are listed are counted in `countsByClass`. */
  failures: z.array(offerFailureSchema).min(1),
  /** All failures of the message by class; adds up to at least `failures.length`. */
  countsByClass: z.record(z.string(), z.number().int().positive()),
});

const problem = {
  class: z.string(),
  title: z.string(),
  /** What is known about it; one paragraph. */
  details: z.string(),
  /** What to do, as a sentence or a command; absent: it passes by itself. */
  action: z.string().optional(),
  since: isoTime,
  /** Set on the message that is repeated each day while the problem lasts. */
  isReminder: z.boolean().optional(),
};

const accountProblemSchema = z.object({
  kind: z.literal('account_problem'),
  ...account,
  ...problem,
  runId: z.string().optional(),
});

const systemProblemSchema = z.object({ kind: z.literal('system_problem'), ...problem });

/** Changes that a guard holds back until a person lets them through. */
const heldSchema = z.object({
  kind: z.literal('held'),
  ...account,
  runId: z.string(),
  /** Why, as a sentence: "would end 120 of 400 active offers; 80 are allowed". */
  details: z.string(),
  heldCount: z.number().int().positive(),
  at: isoTime,
});

const resolvedSchema = z.object({
  kind: z.literal('resolved'),
  accountId: z.string().optional(),
  accountName: z.string().optional(),
  /** Titles of the problems that are over, at least one. */
  titles: z.array(z.string()).min(1),
  since: isoTime,
  at: isoTime,
});

const testSchema = z.object({ kind: z.literal('test'), at: isoTime });

export const alertMessageSchema = z.discriminatedUnion('kind', [
  offerFailuresSchema,
  accountProblemSchema,
  systemProblemSchema,
  heldSchema,
  resolvedSchema,
  testSchema,
]);

export type AlertMessage = z.infer<typeof alertMessageSchema>;
export type OfferFailure = z.infer<typeof offerFailureSchema>;
export type OfferFailuresMessage = z.infer<typeof offerFailuresSchema>;
export type AccountProblemMessage = z.infer<typeof accountProblemSchema>;
export type SystemProblemMessage = z.infer<typeof systemProblemSchema>;
export type HeldMessage = z.infer<typeof heldSchema>;
export type ResolvedMessage = z.infer<typeof resolvedSchema>;

/** Tells a person. */
export interface Notifier {
  /** Where messages go, for a person: "Telegram chat -100123". Holds no secret. */
  readonly destination: string;
  /** @throws NotificationError when the message was not taken; nothing else */
  send(message: AlertMessage): Promise<void>;
}

/**
 * - `unavailable`: nothing can be sent now; other messages need not be tried.
 * - `refused`: this message was refused; others may pass.
 */
export type NotificationErrorKind = 'unavailable' | 'refused';

/** A message was not taken. Holds no request, no address and no token. */
export class NotificationError extends Error {
  override readonly name = 'NotificationError';

  constructor(
    readonly kind: NotificationErrorKind,
    message: string,
    /** When to try again, if the receiver said so. */
    readonly retryInMs: number | null = null,
  ) {
    super(message);
  }
}
