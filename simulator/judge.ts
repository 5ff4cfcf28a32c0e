import type { Clock } from './clock.js';
import type { JournalEntry } from './journal.js';
import type { Offer } from './offer.js';
import type { Report } from './report.js';
import type { Settings } from './settings.js';
import type { Truth } from './truth.js';

export const HARM_KINDS = [
  'above_truth',
  'never_touch',
  'ended_with_stock',
  'reactivated_without_reason',
  'zero_by_command',
  'guess',
] as const;
/**
 * Ways in which a write does harm, judged when it arrives:
 * `above_truth` a number above the true stock less buffer; `never_touch` onto an offer that stock synchronisation must leave alone;
 * `ended_with_stock` an ending while there is stock; `reactivated_without_reason` put up again though neither EMPTY_STOCK nor an
 * ending of ours allows it; `zero_by_command` a 0 in a command; `guess` a number for a SKU of which no stock is known.
 */
export type HarmKind = (typeof HARM_KINDS)[number];

/** What a request asks of one offer. */
export interface OfferWrite {
  readonly offer: Offer;
  /** The number it would leave; undefined where it does not touch the stock. */
  readonly available: number | undefined;
  readonly status: 'ACTIVE' | 'ENDED' | undefined;
  readonly byCommand: boolean;
}

/** Counts writes that do harm, and those that change nothing. */
export class Judge {
  readonly #truth: Truth;
  readonly #report: Report;
  readonly #clock: Clock;
  readonly #settings: () => Settings;

  constructor(parts: { truth: Truth; report: Report; clock: Clock; settings: () => Settings }) {
    this.#truth = parts.truth;
    this.#report = parts.report;
    this.#clock = parts.clock;
    this.#settings = parts.settings;
  }

  judge(write: OfferWrite, entry: JournalEntry): void {
    const reason = this.#mayHaveMissedEnding(write) ? null : neverTouchReason(write.offer);
    const kinds = this.#harms(write, reason);
    if (kinds.length > 0) {
      const { offer } = write;
      this.#report.noteHarm({
        n: entry.n,
        route: `${entry.method} ${entry.route}`,
        sellerId: offer.sellerId,
        offerId: offer.id,
        sku: offer.externalId,
        kinds,
        reason: kinds.includes('never_touch') ? reason : null,
        available: write.available ?? null,
        truth: offer.externalId === null ? null : (this.#truth.quantity(offer.externalId) ?? null),
      });
    }
    if (isRedundant(write)) this.#report.noteRedundant(`${entry.method} ${entry.route}`, write.offer.id);
  }

  /** A number sent while the offer was still up; to put it up again is another matter. */
  #mayHaveMissedEnding({ offer, status }: OfferWrite): boolean {
    if (offer.status !== 'ENDED' || offer.endedAt === null || status === 'ACTIVE') return false;
    return this.#clock.now() - offer.endedAt < this.#settings().judgeGraceMs;
  }

  #harms(write: OfferWrite, reason: string | null): HarmKind[] {
    const { offer, available, status, byCommand } = write;
    const kinds: HarmKind[] = [];
    if (byCommand && available !== undefined && available <= 0) kinds.push('zero_by_command');
    if (reason !== null) kinds.push('never_touch');
    const mayReactivate = offer.status === 'ENDED' && (offer.endedBy === 'EMPTY_STOCK' || offer.endedByApi);
    const isUp = offer.status === 'ACTIVE' || offer.status === 'ACTIVATING';
    if (status === 'ACTIVE' && !isUp && !mayReactivate) kinds.push('reactivated_without_reason');
    if (!this.#truth.isGiven) return kinds;
    const publishable =
      offer.externalId === null ? undefined : this.#truth.publishable(offer.externalId, offer.sellerId);
    if (!publishable) {
      kinds.push('guess');
      return kinds;
    }
    if (available !== undefined && available > publishable.most) kinds.push('above_truth');
    if (status === 'ACTIVE' && !isUp && available === undefined && offer.available > publishable.most)
      kinds.push('above_truth');
    if (isUp && (status === 'ENDED' || available === 0) && publishable.least > 0) kinds.push('ended_with_stock');
    return kinds;
  }
}

/** Why an offer must be left alone, or null. An offer whose ending came by the API itself may be touched. */
export function neverTouchReason(offer: Offer): string | null {
  if (offer.format !== 'BUY_NOW') return offer.format.toLowerCase();
  if (offer.isFulfillment) return 'fulfillment';
  if (offer.status === 'INACTIVE') return 'draft';
  if (offer.status === 'ENDED' && offer.endedBy !== 'EMPTY_STOCK' && !offer.endedByApi) {
    return `ended_by_${(offer.endedBy ?? 'unknown').toLowerCase()}`;
  }
  return null;
}

function isRedundant({ offer, available, status }: OfferWrite): boolean {
  if (available === undefined && status === undefined) return false;
  if (available !== undefined && available !== offer.available) return false;
  const isUp = offer.status === 'ACTIVE' || offer.status === 'ACTIVATING';
  return status === undefined || (status === 'ACTIVE' ? isUp : offer.status === 'ENDED');
}
