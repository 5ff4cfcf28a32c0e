/**
 * The closed list of what can go wrong. The name crosses into Temporal as the failure's `type`, so that retry policies
 * and workflows decide by class and never by message text.
 *
 * | class | whose answer | concerns | what follows |
 * |---|---|---|---|
 * | RateLimited | nobody's: not sent | all | durable wait until `retryInMs`, no attempt used |
 * | DependencyUnavailable | nobody's: PostgreSQL, Redis or a worker is away | all | wait and go on, no attempt used |
 * | WritesStopped | nobody's: the stop switch is on | all | the run ends as `stopped` |
 * | Superseded | nobody's: a newer run owns the account | all | the run ends as `superseded` |
 * | MarketplaceUnavailable | marketplace | all | declared retries of the phase, then one incident |
 * | TokenRevoked | marketplace | account | the account is paused, one incident |
 * | ApplicationRefused | marketplace | all accounts | system incident; no account is paused |
 * | AccountRefused | us or the marketplace | account | another seller's token, or a seller already bound |
 * | OfferConflict | marketplace | one offer | another attempt, as declared |
 * | OutcomeUnknown | marketplace | one offer | another attempt, as declared: absolute values are safe to repeat |
 * | OfferNotFound, OfferRejected, AccessDenied | marketplace | one offer | final |
 * | InvalidAnswer | marketplace | one call | declared retries, then final: an answer that is not understood is never guessed at |
 */
export const SYNC_ERROR_TYPES = [
  'RateLimited',
  'DependencyUnavailable',
  'WritesStopped',
  'Superseded',
  'MarketplaceUnavailable',
  'TokenRevoked',
  'ApplicationRefused',
  'AccountRefused',
  'OfferConflict',
  'OutcomeUnknown',
  'OfferNotFound',
  'OfferRejected',
  'AccessDenied',
  'InvalidAnswer',
] as const;

export type SyncErrorType = (typeof SYNC_ERROR_TYPES)[number];

export function isSyncErrorType(value: unknown): value is SyncErrorType {
  return SYNC_ERROR_TYPES.some((type) => type === value);
}

/** What a person needs to judge an error; holds no header, no body of ours and no secret. */
export interface ErrorFacts {
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  /** The marketplace's own code, kept verbatim. */
  readonly code?: string;
  /** The marketplace's `trace-id`: what its support asks for. */
  readonly traceId?: string;
  /** For `RateLimited`: when to ask again. For others: the marketplace's `Retry-After`. */
  readonly retryInMs?: number;
  /** The marketplace was reached, but its answer did not come, or not whole. */
  readonly isUnanswered?: boolean;
  /** For `RateLimited`: which quota. */
  readonly scope?: string;
  /** What a person can do about it: a sentence or two. */
  readonly whatToDo?: string;
}

/** Base of all errors that the parts throw at each other. */
export class SyncError extends Error {
  constructor(
    readonly type: SyncErrorType,
    message: string,
    readonly facts: ErrorFacts = {},
  ) {
    super(message);
    this.name = type;
  }
}

/** The marketplace itself failed: for one offer that may be the offer's own trouble. */
export function isServerError(error: unknown): error is SyncError {
  return error instanceof SyncError && error.type === 'MarketplaceUnavailable' && (error.facts.status ?? 0) >= 500;
}

/** Asked, but not answered: for one offer among others that may be the offer's own trouble too. */
export function isUnanswered(error: unknown): error is SyncError {
  return error instanceof SyncError && error.facts.isUnanswered === true;
}

/** Classes that say nothing about the offer and use up no attempt. */
export const NOBODYS_ANSWER: readonly SyncErrorType[] = ['RateLimited', 'DependencyUnavailable'];

/** Classes that concern one offer and are worth another attempt. */
export const RETRYABLE_FOR_ONE_OFFER: readonly SyncErrorType[] = ['OfferConflict', 'OutcomeUnknown', 'InvalidAnswer'];

/** Classes that end one offer at once. */
export const FINAL_FOR_ONE_OFFER: readonly SyncErrorType[] = ['OfferNotFound', 'OfferRejected', 'AccessDenied'];

/** Classes that end or pause the whole account's phase. */
export const CONCERNS_THE_ACCOUNT: readonly SyncErrorType[] = [
  'RateLimited',
  'DependencyUnavailable',
  'WritesStopped',
  'Superseded',
  'MarketplaceUnavailable',
  'TokenRevoked',
  'ApplicationRefused',
  'AccountRefused',
];
