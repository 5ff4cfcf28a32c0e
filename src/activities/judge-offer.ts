import {
  decide,
  differenceOf,
  isLeftToOthers,
  unbookedSaleSince,
  type Decision,
  type OfferFacts,
  type SkipReason,
} from '../domain/decision.js';
import { FLIPS_UNTIL_CONTESTED, FLIPS_WITHIN_HOURS, OFFER_CONTESTED } from '../domain/contested.js';
import { judgeEnding } from '../domain/ending.js';
import { isServerError, isUnanswered, SyncError } from '../domain/errors.js';
import type { Sku } from '../domain/ids.js';
import type { ListedOffer } from '../domain/marketplace.js';
import { readContests } from '../storage/contests.js';
import type { ScannedOffer } from '../storage/offers.js';
import type { RunScope } from './run-scope.js';
import { stockMaxAgeMs, type ActivityServices } from './services.js';

/** This many server errors or silences with not one clear answer are an outage, not the offers' fault. */
export const OUTAGE_AFTER = 8;
/** Answers that leave an offer for the next run, so that one that cannot be read does not hide all others. */
const UNREADABLE = ['OfferNotFound', 'AccessDenied', 'InvalidAnswer'];

/** What is known of a listed offer, to decide by. */
export function factsOf(
  services: ActivityServices,
  scope: RunScope,
  input: {
    offer: ListedOffer;
    known: Pick<OfferFacts, 'memory' | 'isExcluded' | 'quarantine'>;
    stock: ReadonlyMap<Sku, OfferFacts['stock']>;
    askedAt: Date;
  },
): OfferFacts {
  const { offer } = input;
  return {
    offer,
    ...input.known,
    stock: offer.sku === null ? null : (input.stock.get(offer.sku) ?? null),
    settings: scope.account,
    contest: null,
    isRead: false,
    endedBy: null,
    now: input.askedAt,
    unbookedSalePatienceMs: services.sync.unbookedSalePatienceSeconds * 1000,
    stockMaxAgeMs: stockMaxAgeMs(services.sync),
  };
}

/** Adds what is known of others who write to the offers that we would write to, or that are still doubtful. */
export async function withContests(
  { db }: ActivityServices,
  { run }: RunScope,
  judged: readonly OfferFacts[],
): Promise<OfferFacts[]> {
  const mayWrite = judged.filter((facts) => ['change', 'look'].includes(decide(facts).kind));
  const contests = await readContests(
    db,
    run,
    mayWrite.map(({ offer }) => offer.offerId),
  );
  return judged.map((facts) => ({ ...facts, contest: contests.get(facts.offer.offerId) ?? null }));
}

/** Whether an answer leaves the offer to the next run. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof SyncError)) return false;
  return UNREADABLE.includes(error.type) || isServerError(error) || isUnanswered(error);
}

export type Judgement = Decision | { readonly kind: 'unread'; readonly reason: `unreadable: ${string}` };

/** What is stored of an offer that was judged. */
export function toScanned(facts: OfferFacts, decision: Judgement, seenAt: Date): ScannedOffer {
  const unbookedSince = unbookedSaleSince(facts);
  const { offer, stock } = facts;
  // A change of the stock that this scan has taken into account is no news to the next.
  const knownAt = stock !== null && stock.updatedAt > seenAt ? stock.updatedAt : seenAt;
  const base = {
    offer,
    seenAt,
    known: { available: offer.available, at: knownAt, sku: offer.sku },
    isCertain: true,
    endedBy: null,
    unbookedSince,
    unbookedStockAt: unbookedSince === null ? null : (stock?.updatedAt ?? null),
    ending: judgeEnding(offer, facts.memory, facts.now),
    hasStock: stock !== null,
    reason: null,
    change: null,
  };
  switch (decision.kind) {
    case 'skipped':
      return { ...base, bucket: 'skipped', reason: decision.reason, change: notMade(facts, decision.reason) };
    case 'in_sync':
      return { ...base, bucket: 'in_sync' };
    case 'unread':
      return { ...base, bucket: 'pending', reason: decision.reason, change: leftFor(facts, decision.reason) };
    case 'pending':
      return {
        ...base,
        bucket: 'pending',
        reason: decision.reason,
        change: { kind: decision.change, state: 'superseded', reason: decision.reason, target: decision.target },
      };
    case 'held':
      return {
        ...base,
        bucket: 'change',
        change: { kind: decision.change, state: 'held', reason: decision.reason, target: decision.target },
      };
    case 'change':
      return {
        ...base,
        bucket: 'change',
        change: {
          kind: decision.change,
          state: 'planned',
          reason: decision.overtakes ? 'overtakes' : null,
          target: decision.target,
        },
      };
    case 'look':
      throw new Error(`offer ${facts.offer.offerId}: still doubtful after it was read`);
  }
}

/** Why an offer of ours that may differ is left alone: by a person, by a setting, or for a while. */
const LEFT_ALONE: readonly SkipReason[] = ['activating', 'excluded', 'quarantined', 'switched_off'];

/** The change that an offer would need and does not get; null: none. What is not written has its place in the history too. */
function leftFor(facts: OfferFacts, reason: string): ScannedOffer['change'] {
  const wanted = differenceOf(facts);
  return wanted === null ? null : { kind: wanted.change, state: 'superseded', reason, target: wanted.target };
}

/** An offer that somebody has ended may stay so for years, and a shop may have many: that is kept once. */
function notMade(facts: OfferFacts, reason: SkipReason): ScannedOffer['change'] {
  const isNews = reason === 'ended_by_other' && facts.memory?.leftAloneFor !== reason;
  const change = LEFT_ALONE.includes(reason) || isNews ? leftFor(facts, `skipped:${reason}`) : null;
  if (change === null || reason !== 'quarantined' || !isLeftToOthers(facts)) return change;
  const { available, status } = facts.offer;
  const theirs = status === 'ENDED' ? 'ended' : `at ${available}`;
  const message =
    `somebody else sets the offer back each time (${FLIPS_UNTIL_CONTESTED} times within ${FLIPS_WITHIN_HOURS} h): ` +
    `we want ${change.target}, it stands ${theirs}; our writes to it have stopped`;
  return { ...change, failure: { errorClass: OFFER_CONTESTED, message } };
}

export function countDiffering(scanned: readonly ScannedOffer[]): number {
  return scanned.filter((row) => row.change !== null && row.bucket === 'change').length;
}
