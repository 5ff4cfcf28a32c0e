import type { AccountSettings } from './account.js';
import { isContested, type Contest } from './contested.js';
import { isOurEnding, judgeEnding, rememberedEndedBy, type EndingMemory } from './ending.js';
import type { Sku } from './ids.js';
import type { EndedBy, ListedOffer, OfferStatus } from './marketplace.js';
import { publishableQuantity, type StockLevel } from './stock.js';

/** In order of precedence: an offer is counted under the first that holds. */
export const SKIP_REASONS = [
  'no_sku',
  'unknown_sku',
  'not_buy_now',
  'fulfillment',
  'draft',
  'activating',
  'ended_by_other',
  'excluded',
  'quarantined',
  'switched_off',
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

/** In order of danger: overselling is stopped first, more offers are sold last. */
export const CHANGE_KINDS = ['end', 'lower', 'reactivate', 'raise'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

export type Decision =
  | { readonly kind: 'skipped'; readonly reason: SkipReason }
  | { readonly kind: 'in_sync' }
  /** `overtakes`: an earlier command may still land on it, so success must be read again later. */
  | { readonly kind: 'change'; readonly change: ChangeKind; readonly target: number; readonly overtakes: boolean }
  | {
      readonly kind: 'held';
      readonly reason: 'unbooked_sale' | 'stale_stock';
      readonly change: ChangeKind;
      readonly target: number;
    }
  | {
      readonly kind: 'pending';
      readonly reason: 'command_pending';
      readonly change: ChangeKind;
      readonly target: number;
    }
  /** The listing is not enough: read the offer itself and decide again with `isRead`. */
  | { readonly kind: 'look' };

/** What we remember of an offer from earlier runs. */
export interface OfferMemory {
  /** As the offer itself, or its first row in the listing, showed it. */
  readonly sku: Sku | null;
  /** The number it showed when we last saw it or wrote it, and since when. */
  readonly knownAvailable: number;
  readonly knownAt: Date;
  /** Number and status before our last confirmed write: the listing may show them for hours. */
  readonly beforeWrite: number | null;
  readonly beforeWriteStatus: OfferStatus | null;
  readonly writtenAt: Date | null;
  /** Who ended it, for the ending at `endedByFor`. */
  readonly endedBy: EndedBy | null;
  readonly endedByFor: Date | null;
  /** When we ended it by its publication status, which the marketplace calls USER. */
  readonly endedByUsAt: Date | null;
  /** When we last sent it a zero, or an ending, that may have arrived. */
  readonly zeroSentAt: Date | null;
  /** null: it showed pieces when it was last seen. */
  readonly ending: EndingMemory | null;
  /** Pieces sold in 30 days, as last seen. */
  readonly sold: number;
  readonly unbookedSince: Date | null;
  readonly unbookedStockAt: Date | null;
  /** Why the last run that saw it left it alone; null: it did not. */
  readonly leftAloneFor: string | null;
  /** A write of an earlier run whose outcome nobody knows. */
  readonly hasUnsettledWrite: boolean;
  /** The highest number that such a write asked for, and when it was sent last; null: none, or nothing was sent. */
  readonly unsettled: { readonly value: number; readonly sentAt: Date } | null;
  /** A quantity command of an earlier run that is still at work there. */
  readonly hasPendingCommand: boolean;
}

export interface Quarantine {
  readonly retryAt: Date;
  readonly available: number;
  readonly status: OfferStatus;
  readonly target: number;
  /** `ListedOffer.listedAs` of then. */
  readonly listedAs: string | null;
}

/** Everything one decision rests on. */
export interface OfferFacts {
  readonly offer: ListedOffer;
  /** null: the stock has no row for the SKU. */
  readonly stock: StockLevel | null;
  readonly settings: AccountSettings;
  readonly memory: OfferMemory | null;
  readonly isExcluded: boolean;
  readonly quarantine: Quarantine | null;
  /** null: too little is known to say that somebody else sets our values back. */
  readonly contest: Contest | null;
  /** true: `offer` was read from the offer itself and `endedBy` with it. */
  readonly isRead: boolean;
  readonly endedBy: EndedBy | null;
  readonly now: Date;
  readonly unbookedSalePatienceMs: number;
  /** A stock row that has not changed for longer raises nothing; null: no row is too old. */
  readonly stockMaxAgeMs: number | null;
}

/** What one offer needs. Pure: the same facts give the same decision. */
export function decide(facts: OfferFacts): Decision {
  const { offer, stock, memory } = facts;
  if (!facts.isRead && isOpenQuestion(facts)) return { kind: 'look' };
  if (offer.sku === null) return skipped('no_sku');
  if (stock === null) return skipped('unknown_sku');
  if (offer.format !== 'BUY_NOW') return skipped('not_buy_now');
  if (offer.isFulfillment) return skipped('fulfillment');
  if (offer.status === 'INACTIVE') return skipped('draft');
  if (offer.status === 'ACTIVATING') return skipped('activating');
  if (!facts.isRead && isListingDoubtful(offer, memory, facts.now)) return { kind: 'look' };

  const target = publishableQuantity(stock, facts.settings, offer.sold);
  const isEnded = offer.status === 'ENDED';
  if (isEnded && target > 0) {
    const endedBy = facts.isRead ? facts.endedBy : rememberedEndedBy(offer, memory);
    if (endedBy === null) return facts.isRead ? skipped('ended_by_other') : { kind: 'look' };
    if (endedBy !== 'EMPTY_STOCK' && !isOurEnding(offer, memory)) return skipped('ended_by_other');
    if (endedBy === 'EMPTY_STOCK' && isZeroOfOthers(facts)) return skipped('ended_by_other');
  }
  // It is on its way to being ended.
  if (!isEnded && offer.available === 0 && target > 0 && isZeroOfOthers(facts)) return skipped('ended_by_other');
  if (facts.isExcluded) return skipped('excluded');
  if (isQuarantined(facts, target)) return skipped('quarantined');

  const wanted = wantedChange(offer, target, facts.settings);
  if (wanted === null) return { kind: 'in_sync' };
  if (isSwitchedOff(wanted.change, facts.settings)) return skipped('switched_off');
  if (isLeftToOthers(facts)) {
    // The listing may be older than our write: such a thing is said of what the offer itself shows.
    return facts.isRead || facts.contest?.isOpen === true ? skipped('quarantined') : { kind: 'look' };
  }
  const addsPieces = wanted.change === 'raise' || wanted.change === 'reactivate';
  if (addsPieces && unbookedSaleSince(facts) !== null) return { kind: 'held', reason: 'unbooked_sale', ...wanted };
  if (addsPieces && isStockTooOld(stock, facts)) return { kind: 'held', reason: 'stale_stock', ...wanted };
  const hasPendingCommand = memory?.hasPendingCommand ?? false;
  if (addsPieces && hasPendingCommand) return { kind: 'pending', reason: 'command_pending', ...wanted };
  return { kind: 'change', ...wanted, overtakes: hasPendingCommand };
}

/**
 * What an offer that cannot be read needs all the same; null: nothing that cannot wait. Fewer pieces never wait: it goes to
 * 0 if it may show any, and to a number that is below each one that it may show.
 */
export function decideUnread(facts: OfferFacts): { facts: OfferFacts; decision: Decision } | null {
  const { offer, memory } = facts;
  if (memory === null || isRelabelled(facts)) return null;
  const { knownAvailable } = memory;
  const unsettled = memory.unsettled === null || isOvertaken(memory) ? [] : [memory.unsettled.value];
  const listed = isListingDoubtful(offer, memory, facts.now) ? [] : [offer.available];
  const available = Math.max(knownAvailable, ...unsettled, ...listed);
  // A number without a known outcome may have brought it back.
  const status = unsettled.some((value) => value > 0) ? 'ACTIVE' : offer.status;
  const assumed = { ...facts, offer: { ...offer, available, status }, isRead: true };
  const decision = decide(assumed);
  if (decision.kind !== 'change') return null;
  const { change, target } = decision;
  const isFall =
    change === 'end' || (change === 'lower' && target < Math.min(knownAvailable, offer.available, ...unsettled));
  return isFall ? { facts: assumed, decision } : null;
}

/** What was confirmed since is what counts. */
function isOvertaken({ unsettled, writtenAt }: OfferMemory): boolean {
  return unsettled !== null && writtenAt !== null && writtenAt > unsettled.sentAt;
}

/**
 * Nothing is concluded from the listing where a write of ours has no known outcome, nor from a row that may be another
 * offer's.
 */
function isOpenQuestion(facts: OfferFacts): boolean {
  return facts.memory?.hasUnsettledWrite === true || isRelabelled(facts);
}

/** Whether the listing shows an offer under another SKU than the one that is trusted. */
export function isRelabelled({ offer, memory }: Pick<OfferFacts, 'offer' | 'memory'>): boolean {
  return memory !== null && memory.sku !== offer.sku;
}

function skipped(reason: SkipReason): Decision {
  return { kind: 'skipped', reason };
}

/** Stale listings were seen for 8 hours (allegro-api #9995, #10056); a day leaves room. */
const LISTING_MAY_BE_STALE_MS = 24 * 3_600_000;

/**
 * The listing is a hint. It is doubted where it shows what we wrote over, and where it shows a running offer without
 * pieces (it is being ended).
 */
function isListingDoubtful(offer: ListedOffer, memory: OfferMemory | null, now: Date): boolean {
  if (offer.status === 'ACTIVE' && offer.available === 0) return true;
  if (memory === null) return false;
  if (memory.writtenAt === null || now.getTime() - memory.writtenAt.getTime() > LISTING_MAY_BE_STALE_MS) return false;
  const showsOldNumber = offer.available === memory.beforeWrite && offer.available !== memory.knownAvailable;
  const showsOldStatus = memory.beforeWriteStatus !== null && offer.status === memory.beforeWriteStatus;
  return memory.beforeWriteStatus === null ? showsOldNumber : showsOldStatus;
}

/** Nothing was sold and we sent no zero: somebody wants it to be out of stock. */
function isZeroOfOthers({ offer, memory, now }: OfferFacts): boolean {
  return judgeEnding(offer, memory, now)?.isExplained === false;
}

function isQuarantined({ quarantine, offer, now }: OfferFacts, target: number): boolean {
  if (quarantine === null || now >= quarantine.retryAt) return false;
  const isEdited = quarantine.listedAs !== null && offer.listedAs !== null && quarantine.listedAs !== offer.listedAs;
  return (
    !isEdited &&
    quarantine.available === offer.available &&
    quarantine.status === offer.status &&
    quarantine.target === target
  );
}

/** Whether our writes stop because somebody else sets our values back. */
export function isLeftToOthers({ contest, offer }: Pick<OfferFacts, 'contest' | 'offer'>): boolean {
  return contest !== null && isContested(contest, offer);
}

function wantedChange(
  offer: ListedOffer,
  target: number,
  settings: AccountSettings,
): { change: ChangeKind; target: number } | null {
  if (offer.status === 'ENDED') return target === 0 ? null : { change: 'reactivate', target };
  // With `atZero: one` an offer keeps one piece on sale; it is never raised to it.
  const shown = target === 0 && settings.atZero === 'one' ? Math.min(1, offer.available) : target;
  if (shown === offer.available) return null;
  if (shown === 0) return { change: 'end', target: 0 };
  if (shown < offer.available) return { change: 'lower', target: shown };
  // A running offer with no pieces is on its way to being ended: bringing it back covers both outcomes.
  return { change: offer.available === 0 ? 'reactivate' : 'raise', target: shown };
}

/** What an offer that is left alone would need; null: nothing, or its stock is not known. */
export function differenceOf({ offer, stock, settings }: OfferFacts): { change: ChangeKind; target: number } | null {
  if (stock === null) return null;
  return wantedChange(offer, publishableQuantity(stock, settings, offer.sold), settings);
}

function isSwitchedOff(change: ChangeKind, settings: AccountSettings): boolean {
  switch (change) {
    case 'end':
      return settings.atZero === 'keep' || !settings.lower;
    case 'lower':
      return !settings.lower;
    case 'reactivate':
      return !settings.reactivate;
    case 'raise':
      return !settings.raise;
  }
}

/** Whether the number of a SKU was written too long ago to put more pieces on sale for it. */
export function isStockTooOld(
  stock: StockLevel,
  { now, stockMaxAgeMs }: Pick<OfferFacts, 'now' | 'stockMaxAgeMs'>,
): boolean {
  return stockMaxAgeMs !== null && now.getTime() - stock.updatedAt.getTime() > stockMaxAgeMs;
}

/**
 * Since when a sale seems not to be booked in the local stock; null: no reason to think so. A number that fell at the
 * marketplace while the stock row stayed the same is taken for a sale, and so is one that was told, until the row changes
 * or patience is over.
 */
export function unbookedSaleSince(
  facts: Pick<OfferFacts, 'offer' | 'stock' | 'memory' | 'now' | 'unbookedSalePatienceMs'>,
): Date | null {
  const { offer, stock, memory, now } = facts;
  if (stock === null) return null;
  const toldAt = toldSaleAt(stock, now, facts.unbookedSalePatienceMs);
  if (memory === null) return toldAt;
  const hasFallen = offer.available < memory.knownAvailable;
  if (hasFallen && stock.updatedAt <= memory.knownAt) return now;
  if (mayHaveSoldAfterWrite(offer, memory, stock)) return now;
  if (toldAt !== null) return toldAt;
  if (memory.unbookedSince === null || memory.unbookedStockAt?.getTime() !== stock.updatedAt.getTime()) return null;
  const waitedMs = now.getTime() - memory.unbookedSince.getTime();
  return waitedMs < facts.unbookedSalePatienceMs ? memory.unbookedSince : null;
}

/**
 * When pieces were bought that the stock has not booked, as the marketplace's events tell, in whatever account; null: none
 * for which patience is not over.
 */
export function toldSaleAt(stock: StockLevel, now: Date, patienceMs: number): Date | null {
  const { lastSaleAt, updatedAt } = stock;
  if (lastSaleAt === null || lastSaleAt <= updatedAt) return null;
  return now.getTime() - lastSaleAt.getTime() < patienceMs ? lastSaleAt : null;
}

/**
 * A write without a known outcome has arrived or it has not. The number from before it means that it has not; any other
 * number below what it asked for may be what was left after it arrived and pieces were sold.
 */
function mayHaveSoldAfterWrite(
  offer: ListedOffer,
  { unsettled, knownAvailable }: OfferMemory,
  stock: StockLevel,
): boolean {
  if (unsettled === null || stock.updatedAt > unsettled.sentAt) return false;
  return offer.available < unsettled.value && offer.available !== knownAvailable;
}
