import { randomUUID } from 'node:crypto';

import type { Answer } from './answer.js';
import { errorAnswer, jsonAnswer } from './answer.js';
import type { Clock } from './clock.js';
import { integer } from './listing.js';
import type { IndexedState, Offer } from './offer.js';
import { amount, offerName } from './offer-json.js';
import type { Settings } from './settings.js';

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
export const ORDER_EVENT_TYPES = [
  'BOUGHT',
  'FILLED_IN',
  'READY_FOR_PROCESSING',
  'BUYER_CANCELLED',
  'FULFILLMENT_STATUS_CHANGED',
  'BUYER_MODIFIED',
  'AUTO_CANCELLED',
] as const;
const ORDER_EVENT_TYPE_NAMES: ReadonlySet<string> = new Set(ORDER_EVENT_TYPES);

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

/** What somebody bought at once, of one seller. */
export interface Order {
  readonly checkoutFormId: string;
  readonly boughtAt: number;
  readonly lines: readonly { readonly lineItemId: string; readonly offer: Offer; readonly quantity: number }[];
  isCancelled: boolean;
}

/** The two event feeds: of offers (24 hours) and of orders (60 days), per seller. */
export class EventFeeds {
  readonly #offerEvents = new Map<string, FeedEvent[]>();
  readonly #orderEvents = new Map<string, FeedEvent[]>();
  readonly #orders = new Map<string, Order>();
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  #sequence = 0;
  #orderMicros = 0;

  constructor(clock: Clock, settings: () => Settings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  clear(): void {
    this.#offerEvents.clear();
    this.#orderEvents.clear();
    this.#orders.clear();
  }

  /** An order that was told of; the oldest are forgotten beyond 50,000. */
  order(checkoutFormId: string): Order | undefined {
    return this.#orders.get(checkoutFormId);
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

  noteOrder(type: string, order: Order): void {
    const [first] = order.lines;
    if (!first) return;
    this.#remember(order);
    const { sellerId } = first.offer;
    const now = this.#clock.now();
    // Ids are microseconds, and rise even when two events fall into one.
    this.#orderMicros = Math.max(this.#orderMicros + 1, Math.floor(now * 1000));
    push(this.#orderEvents, sellerId, {
      sequence: this.#orderMicros,
      at: now,
      type,
      json: {
        id: String(this.#orderMicros),
        order: {
          seller: { id: sellerId },
          buyer: {
            id: '23123123',
            email: 'kupujacy@example.com',
            login: 'kupujacy',
            guest: false,
            preferences: { language: 'pl-PL' },
          },
          lineItems: order.lines.map((line) => lineJson(line, order.boughtAt)),
          checkoutForm: { id: order.checkoutFormId, revision: order.checkoutFormId.slice(0, 8) },
          marketplace: { id: 'allegro-pl' },
        },
        type,
        occurredAt: new Date(now).toISOString(),
      },
    });
  }

  answerOfferEvents(sellerId: string, parameters: URLSearchParams, bend: FeedBend): Answer {
    const asked = parseFeedQuery(parameters, OFFER_EVENT_TYPES, decodeOfferEventId);
    if ('invalid' in asked) return errorAnswer(400, 'VALIDATION_ERROR', asked.invalid);
    const events = bent(select(this.#offerEvents.get(sellerId), this.#told(DAY_MS), asked), bend, asked.limit);
    return jsonAnswer(200, { offerEvents: events.map(({ json }) => json) });
  }

  answerOrderEvents(sellerId: string, parameters: URLSearchParams, bend: FeedBend): Answer {
    const asked = parseFeedQuery(parameters, ORDER_EVENT_TYPE_NAMES, (id) =>
      /^\d{1,20}$/.test(id) ? Number(id) : null,
    );
    if ('invalid' in asked) return errorAnswer(422, 'VALIDATION_ERROR', asked.invalid);
    const events = bent(select(this.#orderEvents.get(sellerId), this.#told(60 * DAY_MS), asked), bend, asked.limit);
    return jsonAnswer(200, { events: events.map(({ json }) => json) });
  }

  answerOrderStats(sellerId: string): Answer {
    const { until } = this.#told(0);
    const latest = this.#orderEvents.get(sellerId)?.findLast(({ at }) => at <= until);
    if (!latest) return jsonAnswer(200, {});
    return jsonAnswer(200, {
      latestEvent: { id: String(latest.sequence), occurredAt: new Date(latest.at).toISOString() },
    });
  }

  #told(keptMs: number): Span {
    const now = this.#clock.now();
    return { since: now - keptMs, until: now - this.#settings().eventLagMs };
  }

  #remember(order: Order): void {
    this.#orders.set(order.checkoutFormId, order);
    if (this.#orders.size <= MOST_EVENTS) return;
    for (const oldest of this.#orders.keys()) {
      this.#orders.delete(oldest);
      break;
    }
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

/** An order with ids of its own. */
export function newOrder(lines: readonly { offer: Offer; quantity: number }[], boughtAt: number): Order {
  return {
    checkoutFormId: randomUUID(),
    boughtAt,
    lines: lines.map((line) => ({ ...line, lineItemId: randomUUID() })),
    isCancelled: false,
  };
}

function lineJson({ lineItemId, offer, quantity }: Order['lines'][number], boughtAt: number): object {
  const price = { amount: amount(offer.priceGrosze), currency: 'PLN' };
  return {
    id: lineItemId,
    offer: {
      id: offer.id,
      name: offerName(offer),
      ...(offer.externalId === null ? {} : { external: { id: offer.externalId } }),
    },
    quantity,
    originalPrice: price,
    price,
    boughtAt: new Date(boughtAt).toISOString(),
  };
}

/** What a feed tells of: events that happened within it. */
interface Span {
  readonly since: number;
  readonly until: number;
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
  { since, until }: Span,
  { from, limit, types }: FeedQuery,
): FeedEvent[] {
  if (!events) return [];
  const selected: FeedEvent[] = [];
  for (let index = firstAfter(events, from); index < events.length && selected.length < limit; index += 1) {
    const event = events[index];
    if (!event || event.at > until) break;
    if (event.at >= since && (types.length === 0 || types.includes(event.type))) selected.push(event);
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

/** Duplicates follow their original, as far as the page holds them; reordering swaps neighbours. */
function bent(events: FeedEvent[], { duplicate, reorder }: FeedBend, limit: number): FeedEvent[] {
  const doubled = duplicate ? events.flatMap((event) => [event, event]).slice(0, limit) : events;
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
