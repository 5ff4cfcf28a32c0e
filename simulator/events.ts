import { randomUUID } from 'node:crypto';

import type { Answer } from './answer.js';
import { errorAnswer, jsonAnswer } from './answer.js';
import type { Clock } from './clock.js';
import { integer } from './listing.js';
import type { IndexedState, Offer } from './offer.js';
import { amount, offerName } from './offer-json.js';

const DAY_MS = 86_400_000;
const MOST_EVENTS = 50_000;
const OFFER_EVENT_TYPES = new Set([
  'OFFER_ACTIVATED',
  'OFFER_CHANGED',
  'OFFER_ENDED',
  'OFFER_STOCK_CHANGED',
  'OFFER_PRICE_CHANGED',
  'OFFER_ARCHIVED',
  'OFFER_BID_PLACED',
  'OFFER_BID_CANCELED',
  'OFFER_TRANSLATION_UPDATED',
  'OFFER_VISIBILITY_CHANGED',
  'OFFER_DELIVERY_COUNTRIES_BLOCKED',
]);
const ORDER_EVENT_TYPES = new Set([
  'BOUGHT',
  'FILLED_IN',
  'READY_FOR_PROCESSING',
  'BUYER_CANCELLED',
  'FULFILLMENT_STATUS_CHANGED',
  'BUYER_MODIFIED',
  'AUTO_CANCELLED',
]);

interface FeedEvent {
  /** Rising within a feed. */
  readonly sequence: number;
  readonly at: number;
  readonly type: string;
  readonly json: object;
}

/** How a planted fault bends a feed. */
export interface FeedBend {
  readonly duplicate: boolean;
  readonly reorder: boolean;
}

export interface Sale {
  readonly offer: Offer;
  readonly quantity: number;
  readonly checkoutFormId: string;
  readonly lineItemId: string;
}

/** The two event feeds: of offers (24 hours) and of orders (60 days), per seller. */
export class EventFeeds {
  readonly #offerEvents = new Map<string, FeedEvent[]>();
  readonly #orderEvents = new Map<string, FeedEvent[]>();
  readonly #clock: Clock;
  #sequence = 0;
  #orderMicros = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  clear(): void {
    this.#offerEvents.clear();
    this.#orderEvents.clear();
  }

  /** To be called after each change of an offer; only offers that are or were up are told of (the API document). */
  noteChange(offer: Offer, before: IndexedState): void {
    const wasUp = before.status === 'ACTIVE' || before.status === 'ACTIVATING';
    const isUp = offer.status === 'ACTIVE' || offer.status === 'ACTIVATING';
    if (offer.archived && !before.unlisted) this.#noteOffer(offer, 'OFFER_ARCHIVED');
    if (!wasUp && !isUp) return;
    if (offer.available !== before.available) this.#noteOffer(offer, 'OFFER_STOCK_CHANGED');
    if (!wasUp && isUp) this.#noteOffer(offer, 'OFFER_ACTIVATED');
    if (wasUp && !isUp) this.#noteOffer(offer, 'OFFER_ENDED', { publication: { endedBy: offer.endedBy ?? 'UNKNOWN' } });
  }

  /** An order event about one line of an order. */
  noteOrder(type: string, sale: Sale): void {
    const { offer, quantity, checkoutFormId, lineItemId } = sale;
    const now = this.#clock.now();
    // Ids are microseconds, and rise even when two events fall into one.
    this.#orderMicros = Math.max(this.#orderMicros + 1, Math.floor(now * 1000));
    const price = { amount: amount(offer.priceGrosze), currency: 'PLN' };
    push(this.#orderEvents, offer.sellerId, {
      sequence: this.#orderMicros,
      at: now,
      type,
      json: {
        id: String(this.#orderMicros),
        order: {
          seller: { id: offer.sellerId },
          buyer: {
            id: '23123123',
            email: 'kupujacy@example.com',
            login: 'kupujacy',
            guest: false,
            preferences: { language: 'pl-PL' },
          },
          lineItems: [
            {
              id: lineItemId,
              offer: {
                id: offer.id,
                name: offerName(offer),
                ...(offer.externalId === null ? {} : { external: { id: offer.externalId } }),
              },
              quantity,
              originalPrice: price,
              price,
              boughtAt: new Date(now).toISOString(),
            },
          ],
          checkoutForm: { id: checkoutFormId, revision: checkoutFormId.slice(0, 8) },
          marketplace: { id: 'allegro-pl' },
        },
        type,
        occurredAt: new Date(now).toISOString(),
      },
    });
  }

  answerOfferEvents(sellerId: string, parameters: URLSearchParams, bend: FeedBend): Answer {
    const asked = parseFeedQuery(parameters, OFFER_EVENT_TYPES, decodeOfferEventId);
    if ('invalid' in asked) {
      return { ...errorAnswer(400, 'VALIDATION_ERROR', asked.invalid), contentType: 'application/json' };
    }
    const since = this.#clock.now() - DAY_MS;
    const events = bent(select(this.#offerEvents.get(sellerId), since, asked), bend);
    return jsonAnswer(200, { offerEvents: events.map(({ json }) => json) });
  }

  answerOrderEvents(sellerId: string, parameters: URLSearchParams, bend: FeedBend): Answer {
    const asked = parseFeedQuery(parameters, ORDER_EVENT_TYPES, (id) => (/^\d{1,20}$/.test(id) ? Number(id) : null));
    if ('invalid' in asked) return errorAnswer(422, 'VALIDATION_ERROR', asked.invalid);
    const since = this.#clock.now() - 60 * DAY_MS;
    const events = bent(select(this.#orderEvents.get(sellerId), since, asked), bend);
    return jsonAnswer(200, { events: events.map(({ json }) => json) });
  }

  answerOrderStats(sellerId: string): Answer {
    const latest = this.#orderEvents.get(sellerId)?.at(-1);
    if (!latest) return jsonAnswer(200, {});
    return jsonAnswer(200, {
      latestEvent: { id: String(latest.sequence), occurredAt: new Date(latest.at).toISOString() },
    });
  }

  #noteOffer(offer: Offer, type: string, more: object = {}): void {
    this.#sequence += 1;
    const now = this.#clock.now();
    push(this.#offerEvents, offer.sellerId, {
      sequence: this.#sequence,
      at: now,
      type,
      json: {
        id: Buffer.from(String(this.#sequence)).toString('base64url'),
        occurredAt: new Date(now).toISOString(),
        type,
        offer: { id: offer.id, ...(offer.externalId === null ? {} : { external: { id: offer.externalId } }), ...more },
      },
    });
  }
}

/** Ids for a sale's order. */
export function newSale(offer: Offer, quantity: number): Sale {
  return { offer, quantity, checkoutFormId: randomUUID(), lineItemId: randomUUID() };
}

interface FeedQuery {
  readonly from: number;
  readonly limit: number;
  readonly types: readonly string[];
}

function parseFeedQuery(
  parameters: URLSearchParams,
  knownTypes: ReadonlySet<string>,
  decodeId: (id: string) => number | null,
): FeedQuery | { invalid: string } {
  const limit = integer(parameters.get('limit'), 100);
  if (limit === null || limit < 1 || limit > 1000) return { invalid: 'limit must be between 1 and 1000' };
  const types = parameters.getAll('type');
  if (!types.every((type) => knownTypes.has(type))) return { invalid: 'type has an unknown value' };
  const from = parameters.get('from');
  const sequence = from === null ? 0 : decodeId(from);
  return sequence === null ? { invalid: 'from is no event id' } : { from: sequence, limit, types };
}

function decodeOfferEventId(id: string): number | null {
  const text = Buffer.from(id, 'base64url').toString();
  return /^\d{1,16}$/.test(text) ? Number(text) : null;
}

function select(
  events: readonly FeedEvent[] | undefined,
  since: number,
  { from, limit, types }: FeedQuery,
): FeedEvent[] {
  if (!events) return [];
  const selected: FeedEvent[] = [];
  for (let index = firstAfter(events, from); index < events.length && selected.length < limit; index += 1) {
    const event = events[index];
    if (event && event.at >= since && (types.length === 0 || types.includes(event.type))) selected.push(event);
  }
  return selected;
}

function firstAfter(events: readonly FeedEvent[], sequence: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.sequence ?? Infinity) <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Duplicates follow their original; reordering swaps neighbours. */
function bent(events: FeedEvent[], { duplicate, reorder }: FeedBend): FeedEvent[] {
  const doubled = duplicate ? events.flatMap((event) => [event, event]) : events;
  if (!reorder) return doubled;
  const swapped = [...doubled];
  for (let index = 0; index + 1 < swapped.length; index += 2) {
    const [a, b] = [swapped[index], swapped[index + 1]];
    if (a && b) [swapped[index], swapped[index + 1]] = [b, a];
  }
  return swapped;
}

function push(feeds: Map<string, FeedEvent[]>, sellerId: string, event: FeedEvent): void {
  const events = feeds.get(sellerId) ?? [];
  events.push(event);
  feeds.set(sellerId, events.length > MOST_EVENTS * 1.25 ? events.slice(-MOST_EVENTS) : events);
}
