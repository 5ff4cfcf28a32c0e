import type { OfferId, Sku } from './ids.js';
import type { Call, EndedBy } from './marketplace.js';

/**
 * What the marketplace tells of by itself. Hints: they may come late, twice, out of order or not at all, and are never
 * the only source of anything.
 */
export interface MarketplaceEvents {
  /**
   * Changes of offers after the cursor, at most 1000, oldest first. null: from the oldest that is kept (24 h). What is not
   * kept any more is left out without a word, also after a cursor from before it.
   */
  readOfferEvents(call: Call, cursor: string | null): Promise<EventPage<OfferEvent>>;
  /** Pieces bought after the cursor, at most 1000 events. null: from the oldest that is kept (60 days). */
  readSales(call: Call, cursor: string | null): Promise<EventPage<Sale>>;
  /** Where reading begins for who wants none of the past; null: there is no event yet. */
  latestSaleCursor(call: Call): Promise<string | null>;
}

export interface EventPage<Event> {
  /** Each event once. */
  readonly events: readonly Event[];
  /** Where to go on; that of the call when there was nothing new. */
  readonly cursor: string | null;
  /** Nothing more for now. */
  readonly isLast: boolean;
}

export interface OfferEvent {
  readonly offerId: OfferId;
  readonly sku: Sku | null;
  /** `other`: something that is no matter of stock. */
  readonly kind: 'stock_changed' | 'ended' | 'activated' | 'archived' | 'other';
  /** Of `ended`. */
  readonly endedBy: EndedBy | null;
  /** ISO time. */
  readonly occurredAt: string;
}

/** One line of an order; `key` is the same however often it is told. */
export interface Sale {
  readonly key: string;
  readonly offerId: OfferId;
  readonly sku: Sku | null;
  readonly quantity: number;
  /** ISO time: the moment at which the offer's number fell. */
  readonly boughtAt: string;
}
