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
/** What was under way when we brought the offer back may still come to its end for so long. */
const UNDER_WAY_FOR_MS = 10 * 60_000;
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
  // What is under way ends after this moment.
  const at = endedAt ?? (offer.status === 'ENDED' ? null : now);
  const isSame =
    before !== null && isSameEnding(before.endedAt, endedAt) && !isReturnBetween(before.endedAt, at, memory);
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

/** We brought it back before, so that this is another ending; null: not known when it ended. */
function isAfterReturn(endedAt: Date | null, memory: OfferMemory): boolean {
  const { beforeWriteStatus, writtenAt } = memory;
  if (writtenAt === null) return false;
  if (beforeWriteStatus === 'ENDED') return endedAt === null || endedAt > writtenAt;
  // It was under way when we brought it back, and may have come to its end all the same.
  return hasOvertakenEnding(memory) && endedAt !== null && isLongAfter(endedAt, writtenAt);
}

/** Our last write brought back an offer that had no pieces but had not ended yet, and it has shown pieces since. */
function hasOvertakenEnding({ beforeWriteStatus, knownAvailable, endedByUsAt, writtenAt }: OfferMemory): boolean {
  const hasEndedIt = endedByUsAt !== null && writtenAt !== null && endedByUsAt >= writtenAt;
  return beforeWriteStatus === 'ACTIVE' && knownAvailable > 0 && !hasEndedIt;
}

function isLongAfter(endedAt: Date, writtenAt: Date): boolean {
  return endedAt.getTime() - writtenAt.getTime() > UNDER_WAY_FOR_MS;
}

/** `before` null: it had not ended when it was seen, so that it came before a return by which it shows pieces. */
function isReturnBetween(before: Date | null, after: Date | null, memory: OfferMemory): boolean {
  const wasBefore = before === null ? after !== null && memory.knownAvailable > 0 : !isAfterReturn(before, memory);
  return wasBefore && isAfterReturn(after, memory);
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
