import type { Quota } from './pace.js';
import type { Priority } from './waiting-line.js';

/** A permit for one request, to be sent at once. */
export interface Grant {
  readonly kind: 'granted';
  /** How long it was waited for, ms. */
  readonly waitMs: number;
  /** This request tests whether a block is over; tell `answered` when it was answered with anything but 429. */
  readonly probe: boolean;
  /** Whether it may still be sent: within 1 s of its time, and no 429 since. Ask right before writing to the socket. */
  isFresh(): boolean;
}

export interface Refusal {
  readonly kind: 'refused';
  readonly retryInMs: number;
  readonly scope: string;
  readonly reason: 'quota' | 'penalty';
}

export interface AcquireOptions {
  signal?: AbortSignal | undefined;
  /** Longer waits are refused. Default 2000. */
  maxInlineWaitMs?: number | undefined;
  /** Default `scheduled`. */
  priority?: Priority | undefined;
  /** The account, for fairness within the process. Default: the scopes after the first one. */
  party?: string | undefined;
}

export interface PeekOptions {
  /** Requests that will come at once if the wait is short enough: they count as waiting from now on. Default 0. */
  arriving?: number | undefined;
  /** Short enough: below this. Default 2000. */
  maxInlineWaitMs?: number | undefined;
}

export interface ScopeUsage {
  scope: string;
  limit: number;
  usedInWindow: number;
  blockedForMs: number;
  /** Below `limit` for an hour after a 429 that our own count does not explain. */
  assumedLimit: number;
}

/** What operators want to know. Logged and counted by whoever builds the limiter. */
export type LimiterEvent =
  | { kind: 'penalised'; scope: string; blockedForMs: number }
  | { kind: 'assumed_limit_lowered'; scope: string; limit: number; assumedLimit: number }
  | { kind: 'state_lost'; restoredScopes: string[] }
  | { kind: 'permit_dropped'; reason: 'late' | 'penalty' };

/**
 * Permits shared by all processes of one Client ID.
 *
 * Contract: a request is sent only with a permit for all its quotas, and each quota keeps
 * sum of weights ≤ limit in any window of the server's time, however many processes send, as long as a request reaches
 * the server within 1 s of being sent. It is sent within 1 s of the permit's time, or not at all with that permit.
 * Permits of a paced quota are (window + 2 s) / (limit − largest weight + 1) × weight apart: there is no burst.
 */
export interface RateLimiter {
  /**
   * Takes all quotas or none, the application's first. Waits at most `maxInlineWaitMs` and returns when it is time to
   * send. Throws LimiterUnavailable within 2 s when Redis cannot be asked, RangeError for an impossible quota, and the
   * signal's reason when aborted.
   */
  acquire(quotas: readonly Quota[], options?: AcquireOptions): Promise<Grant | Refusal>;
  /**
   * How long such requests would wait now, behind all that wait in any process (as each tells once a second), without
   * taking a permit: 0 = send.
   */
  peek(quotas: readonly Quota[], options?: PeekOptions): Promise<{ waitMs: number; scope: string | null }>;
  /**
   * Tells everybody that a request with these quotas was answered with 429; null = no `Retry-After`: 60 s and jitter.
   * Blocks the quotas whose own count is near the limit, else all, and lowers their assumed limit by 10 % for an hour.
   */
  penalise(quotas: readonly Quota[], retryAfterMs: number | null): Promise<void>;
  /** Tells everybody that a probe was answered with anything but 429; without a word full pace returns 10 s later. */
  answered(quotas: readonly Quota[]): Promise<void>;
  /** Tells everybody that a probe was not sent or had no answer: the next request is the probe. */
  unanswered(quotas: readonly Quota[]): Promise<void>;
  usage(quotas: readonly Quota[]): Promise<ScopeUsage[]>;
  /** Asks Redis now. Null = permits can be had, else what is wrong, for readyz. */
  findTrouble(): Promise<string | null>;
  /** Stops its timer and refuses whoever waits with LimiterUnavailable. The connection stays the caller's. */
  close(): void;
}
