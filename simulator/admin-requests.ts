import { z } from 'zod';

import { ORDER_EVENT_TYPES } from './events.js';
import { JOURNAL_PHASES } from './journal.js';
import { ENDING_REASONS, OFFER_FORMATS, OFFER_STATUSES } from './offer.js';

const at = z.union([z.number(), z.iso.datetime().transform((text) => Date.parse(text))]);

const rejectionSchema = z.strictObject({
  code: z.string().default('MissingRequiredParameters'),
  message: z.string().default('Missing required parameters'),
  path: z.string().nullable().default('parameters'),
  mode: z.enum(['sync', 'async']).default('sync'),
  commands: z.boolean().default(false),
  endings: z.boolean().default(false),
});

const offerFields = {
  name: z.string().nullable(),
  externalId: z.string().max(100).nullable(),
  format: z.enum(OFFER_FORMATS),
  status: z.enum(OFFER_STATUSES),
  available: z.int().min(0),
  sold: z.int().min(0),
  initialStock: z.int().min(0),
  endedBy: z.enum(ENDING_REASONS).nullable(),
  endedByApi: z.boolean(),
  startedAt: at.nullable(),
  endedAt: at.nullable(),
  createdAt: at,
  durationDays: z.int().min(1).nullable(),
  republish: z.boolean(),
  isFulfillment: z.boolean(),
  archived: z.boolean(),
  priceGrosze: z.int().min(1),
  rejection: rejectionSchema.nullable(),
};

/** An edit by somebody at Allegro's own pages, or by Allegro: anything may change. Times are ms since 1970 or ISO 8601. */
export const offerChangeSchema = z.strictObject(offerFields).partial();
export type OfferChange = z.input<typeof offerChangeSchema>;

export const newOfferSchema = offerChangeSchema.extend({
  sellerId: z.string().min(1),
  id: z
    .string()
    .regex(/^\d{1,20}$/)
    .optional(),
});
/** An offer as sent to `POST /_admin/offers`: all but the seller may be left out (active, fixed price, 10 pieces, no external id). */
export type NewOffer = z.input<typeof newOfferSchema>;

export const newOffersSchema = z.union([newOfferSchema, z.array(newOfferSchema)]);

/** What the listing shows of an offer from now on, whatever becomes of it; left-out fields: as they are now. */
export const freezeSchema = z.strictObject({
  externalId: offerFields.externalId.optional(),
  status: offerFields.status.optional(),
  available: offerFields.available.optional(),
  sold: offerFields.sold.optional(),
  endedAt: offerFields.endedAt.optional(),
  unlisted: z.boolean().optional(),
});
export type FrozenRow = z.input<typeof freezeSchema>;

export const sellerSchema = z.strictObject({
  sellerId: z.string().min(1),
  login: z.string().min(1).optional(),
  isBusiness: z.boolean().optional(),
});
export type NewSeller = z.input<typeof sellerSchema>;

const orderEventType = z.enum(ORDER_EVENT_TYPES);

export const saleSchema = z.strictObject({
  offerId: z.string(),
  quantity: z.int().min(1).default(1),
  /** Further lines of the same order. */
  also: z.array(z.strictObject({ offerId: z.string(), quantity: z.int().min(1) })).default([]),
  /** Lower the truth too: the pieces have left the warehouse. */
  lowersTruth: z.boolean().default(false),
  /** Order events beside BOUGHT; another BOUGHT tells the same sale again under an id of its own. */
  events: z.array(orderEventType).default([]),
});
export type SaleRequest = z.input<typeof saleSchema>;

/** What happens next to an order. */
export const orderEventSchema = z.strictObject({ type: orderEventType });
export type OrderEventRequest = z.input<typeof orderEventSchema>;

export const truthSchema = z.strictObject({
  /** Pieces by SKU; null: not in the warehouse's list. */
  skus: z.record(z.string(), z.int().min(0).nullable()),
  /** Forget all SKUs that are not named. */
  complete: z.boolean().default(false),
});
export type TruthRequest = z.input<typeof truthSchema>;

export const tokenSchema = z.strictObject({
  sellerId: z.string().min(1),
  clientId: z.string().min(1).default('simulator-client'),
  scopes: z.array(z.string()).optional(),
});
export type TokenRequest = z.input<typeof tokenSchema>;

export const revokeSchema = z.strictObject({ sellerId: z.string() });

export const decisionSchema = z.discriminatedUnion('decision', [
  z.strictObject({ decision: z.literal('approve'), sellerId: z.string().min(1) }),
  z.strictObject({ decision: z.literal('deny'), sellerId: z.string().optional() }),
]);
export type DeviceDecision = z.input<typeof decisionSchema>;

export const clockSchema = z.strictObject({ advanceMs: z.number().min(0) });

const wholeNumber = z.coerce.number().int().min(0);

export const journalQuerySchema = z.object({
  since: wholeNumber.default(0),
  limit: wholeNumber.max(100_000).default(1000),
});

export const waitQuerySchema = z.object({
  phase: z.enum(JOURNAL_PHASES).default('answered'),
  after: wholeNumber.default(0),
  route: z.string().optional(),
  method: z.string().optional(),
  sellerId: z.string().optional(),
  timeoutMs: wholeNumber.max(600_000).default(30_000),
});
/** Waits for the first request that reaches `phase` later than phase number `after`. */
export type WaitRequest = z.input<typeof waitQuerySchema>;

export const offersQuerySchema = z.object({
  sellerId: z.string().optional(),
  externalId: z.string().optional(),
  status: z.enum(OFFER_STATUSES).optional(),
  limit: wholeNumber.max(2_000_000).default(1000),
  offset: wholeNumber.default(0),
  format: z.enum(['json', 'ndjson']).default('json'),
});
export type OffersQuery = z.input<typeof offersQuerySchema>;
