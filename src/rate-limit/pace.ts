import { JITTER_MS } from './permit-script.js';

/** One counted quota: e.g. the application's 9000/60 s, a seller's PATCH 2490/60 s and 74700/3600 s. */
export interface Quota {
  /** Who shares it, e.g. `app` or `seller:123:patch:minute`. Limit, window and largest weight are the same in every call. */
  readonly scope: string;
  /** Weight allowed in any window. */
  readonly limit: number;
  readonly windowMs: number;
  /** What this request costs: 1, or the number of offer changes. */
  readonly weight: number;
  /** The largest weight any request of this scope has. */
  readonly maxWeight: number;
}

/**
 * Windows up to a minute are paced evenly; longer ones are counted, so that a seller may use its full minute rate as
 * long as its hour allows.
 */
export function isCounted(quota: Quota): boolean {
  return quota.windowMs > 60_000;
}

/**
 * Time between two permits of weight 1 in a paced quota: (window + 2 s) / (limit − largest weight + 1).
 *
 * Permits of a window of arrivals have their slots within window + 2 s; all but the last of them pay their whole cost
 * inside it, so together they weigh less than limit − maxWeight + 1, and the last one at most maxWeight.
 */
export function unitSpacingMs(quota: Quota): number {
  return (quota.windowMs + JITTER_MS) / (quota.limit - quota.maxWeight + 1);
}

/** Throws RangeError for a quota that cannot be kept: weights and limits are whole numbers, 1 ≤ weight ≤ maxWeight ≤ limit. */
export function checkQuota(quota: Quota): void {
  const whole = [quota.limit, quota.weight, quota.maxWeight].every((value) => Number.isSafeInteger(value));
  const ordered = quota.weight >= 1 && quota.weight <= quota.maxWeight && quota.maxWeight <= quota.limit;
  if (whole && ordered && quota.windowMs > 0 && quota.windowMs <= LONGEST_WINDOW_MS && quota.scope !== '') return;
  throw new RangeError(`quota cannot be kept: ${JSON.stringify(quota)}`);
}

/** Keys of a quota live a window and an hour; the limiter's state a day, and it has to be the last to go. */
const LONGEST_WINDOW_MS = 12 * 3_600_000;
