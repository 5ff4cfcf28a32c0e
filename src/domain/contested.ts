import type { OfferStatus } from './marketplace.js';

/** Class of the incident that stops our writes to an offer while it is open. */
export const OFFER_CONTESTED = 'OfferContested';
/** Within this time, */
export const FLIPS_WITHIN_HOURS = 24;
/** so many values of ours set back are a fight with another program. */
export const FLIPS_UNTIL_CONTESTED = 3;

/** What an offer showed at one time. */
export interface Sight {
  readonly available: number;
  readonly status: OfferStatus;
  /** Pieces sold in 30 days; null: it was not kept. */
  readonly sold: number | null;
}

/** A confirmed write of ours. */
export interface OwnWrite {
  /** What it set; 0 for an ending. */
  readonly value: number;
  readonly before: Sight;
  /** What was seen next; null: nothing was recorded since. */
  readonly next: Sight | null;
}

/** What is known of others who write to an offer. */
export interface Contest {
  /** true: told, and neither resolved by a person nor in sync since. */
  readonly isOpen: boolean;
  /** Of the last 24 h and since the last such incident was resolved, in the order of their time. */
  readonly writes: readonly OwnWrite[];
}

/**
 * Whether our writes to the offer stop. `now`: what it shows at this moment, which must itself be a value of ours set back:
 * sights of before may have been those of a listing that lags.
 */
export function isContested({ isOpen, writes }: Contest, now: Sight): boolean {
  if (isOpen) return true;
  const last = writes.at(-1);
  return last !== undefined && isFlip(last, now) && countFlips(writes, now) >= FLIPS_UNTIL_CONTESTED;
}

/** How many of our values somebody has set back. */
export function countFlips(writes: readonly OwnWrite[], now: Sight): number {
  return writes.filter((write) => isFlip(write, write.next ?? now)).length;
}

/**
 * Whether somebody else has changed our value: no sale raises a number. A lower one may be sales, so it counts only
 * where `sold` did not rise, and where the number is that from before our write and `sold` the same, or more pieces are
 * gone than were sold in all the 30 days.
 */
function isFlip({ value, before }: OwnWrite, next: Sight): boolean {
  const shown = piecesOf(next);
  if (shown >= value) return shown > value;
  if (before.sold === null || next.sold === null || next.sold > before.sold) return false;
  const isBack = shown === piecesOf(before) && next.sold === before.sold;
  return isBack || value - shown > next.sold;
}

/** An offer that has ended sells nothing, whatever number is left in it. */
function piecesOf({ available, status }: Sight): number {
  return status === 'ENDED' ? 0 : available;
}
