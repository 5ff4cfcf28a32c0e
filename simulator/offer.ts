/** Publication states, formats and reasons of ending as Allegro's document names them. */
export const OFFER_STATUSES = ['INACTIVE', 'ACTIVATING', 'ACTIVE', 'ENDED'] as const;
export const OFFER_FORMATS = ['BUY_NOW', 'AUCTION', 'ADVERTISEMENT'] as const;
export const ENDING_REASONS = ['USER', 'ADMIN', 'EXPIRATION', 'EMPTY_STOCK', 'PRODUCT_DETACHMENT', 'ERROR'] as const;

export type OfferStatus = (typeof OFFER_STATUSES)[number];
export type OfferFormat = (typeof OFFER_FORMATS)[number];
export type EndingReason = (typeof ENDING_REASONS)[number];

/** Why every edit of an offer is refused, as whole-offer validation does (allegro-api #4830, #5236). */
export interface Rejection {
  readonly code: string;
  readonly message: string;
  readonly path: string | null;
  /** `sync`: the edit is answered 422; `async`: 202, and its operation ends in 422. */
  readonly mode: 'sync' | 'async';
  /** Quantity commands fail for it too. */
  readonly commands: boolean;
  /** It cannot even be ended. */
  readonly endings: boolean;
}

/** What the listing's index holds of an offer. */
export interface IndexedState {
  readonly externalId: string | null;
  readonly status: OfferStatus;
  readonly available: number;
  readonly sold: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly isFulfillment: boolean;
  readonly format: OfferFormat;
  /** Not in the index: too new, or archived. */
  readonly unlisted: boolean;
}

/** Everything that may be set from outside; times in ms since 1970, the price in grosze. */
export interface OfferFields {
  name: string | null;
  externalId: string | null;
  format: OfferFormat;
  status: OfferStatus;
  available: number;
  sold: number;
  /** What `republish` puts up again. */
  initialStock: number;
  endedBy: EndingReason | null;
  /** The ending came by a write through the API. */
  endedByApi: boolean;
  startedAt: number | null;
  endedAt: number | null;
  createdAt: number;
  /** Days until it expires; null: until sold out. */
  durationDays: number | null;
  republish: boolean;
  isFulfillment: boolean;
  archived: boolean;
  priceGrosze: number;
  rejection: Rejection | null;
}

/** An offer as it truly is, with what the index still shows of it. */
export interface Offer extends OfferFields {
  readonly id: string;
  readonly sellerId: string;
  updatedAt: number;
  /** Counts changes; tells a lagging index entry that a newer one follows. */
  version: number;
  /** An edit is being processed. */
  editing: boolean;
  /** The zero that will end it came by the API. */
  zeroByApi: boolean;
  /** What the index shows instead of the truth, while it lags. */
  lagging: IndexedState | null;
  /** What the index shows until it is thawed. */
  frozen: IndexedState | null;
}

/** The part of an offer that the listing shows, as it is now. */
export function indexedState(offer: Offer): IndexedState {
  return {
    externalId: offer.externalId,
    status: offer.status,
    available: offer.available,
    sold: offer.sold,
    startedAt: offer.startedAt,
    endedAt: offer.endedAt,
    isFulfillment: offer.isFulfillment,
    format: offer.format,
    unlisted: offer.archived,
  };
}
