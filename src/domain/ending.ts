import type { OfferMemory } from './decision.js';
import type { EndedBy, ListedOffer } from './marketplace.js';

/** How an offer that shows nothing to sell came to it, as far as it was seen. */
export interface EndingMemory {
  /** null: it had not ended yet. */
  readonly endedAt: Date | null;
  /** `sold` when it was last seen with pieces. */
  readonly soldBefore: number;
  /** true: pieces were sold, or we sent the zero; false: somebody else set it. */
  readonly isExplained: boolean;
}

/** Two times of one ending, told by the listing and by the offer itself, may differ by this. */
const SAME_ENDING_WITHIN_MS = 60_000;
/** An ending soon after we asked for it is ours: it is carried out asynchronously. */
const OUR_ENDING_WITHIN_MS = 60 * 60_000;

/**
 * What is remembered of an offer that shows nothing to sell; null: it shows pieces. An ending counts as explained when
 * the offer is seen for the first time, when `sold` is above what it was while pieces were shown, and when the zero was
 * ours. Explained once, it stays so until pieces are shown again: `sold` counts 30 days and falls by itself later. What
 * is not explained becomes so when `sold` rises after all: it may be counted later than the stock.
 */
export function judgeEnding(offer: ListedOffer, memory: OfferMemory | null, now: Date): EndingMemory | null {
  if (offer.status !== 'ENDED' && offer.available > 0) return null;
  const endedAt = offer.endedAt === null ? null : new Date(offer.endedAt);
  if (memory === null) return { endedAt, soldBefore: offer.sold, isExplained: true };
  const before = memory.ending;
  const isSame =
    before !== null && isSameEnding(before.endedAt, endedAt) && !isReturnBetween(before.endedAt, endedAt, memory);
  const soldBefore = isSame ? before.soldBefore : memory.sold;
  const isExplained = (isSame && before.isExplained) || offer.sold > soldBefore || isOurZero(endedAt ?? now, memory);
  return { endedAt, soldBefore, isExplained };
}

function isSameEnding(before: Date | null, after: Date | null): boolean {
  if (before === null || after === null) return true;
  return Math.abs(after.getTime() - before.getTime()) <= SAME_ENDING_WITHIN_MS;
}

/** After a restart it is not known which of the two ways of ending was sent. */
function isOurZero(endedAt: Date, memory: OfferMemory): boolean {
  const { zeroSentAt, endedByUsAt } = memory;
  return isOurs(endedAt, zeroSentAt, memory) || isOurs(endedAt, endedByUsAt, memory);
}

/** Whether the ending by publication status, which the marketplace calls USER, was ours. */
export function isOurEnding(offer: ListedOffer, memory: OfferMemory | null): boolean {
  if (memory === null || offer.endedAt === null) return false;
  return isOurs(new Date(offer.endedAt), memory.endedByUsAt, memory);
}

function isOurs(endedAt: Date, sentAt: Date | null, memory: OfferMemory): boolean {
  return isSoonAfter(endedAt, sentAt) && !isReturnBetween(sentAt, endedAt, memory);
}

/** We brought it back before, so that this is another ending. One that has no time yet has only begun. */
function isAfterReturn(endedAt: Date | null, { beforeWriteStatus, writtenAt }: OfferMemory): boolean {
  return beforeWriteStatus === 'ENDED' && writtenAt !== null && (endedAt === null || endedAt > writtenAt);
}

function isReturnBetween(before: Date | null, after: Date | null, memory: OfferMemory): boolean {
  return before !== null && !isAfterReturn(before, memory) && isAfterReturn(after, memory);
}

/** Both clocks may be wrong by a little, so it may seem to come before. */
function isSoonAfter(endedAt: Date, sentAt: Date | null): boolean {
  return sentAt !== null && Math.abs(endedAt.getTime() - sentAt.getTime()) <= OUR_ENDING_WITHIN_MS;
}

/** Who ended it, if that was asked for this very ending; null: not known. */
export function rememberedEndedBy(offer: ListedOffer, memory: OfferMemory | null): EndedBy | null {
  if (memory?.endedBy == null || memory.endedByFor === null || offer.endedAt === null) return null;
  return memory.endedByFor.getTime() === Date.parse(offer.endedAt) ? memory.endedBy : null;
}
