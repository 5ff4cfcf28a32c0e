import type { BulkModification } from './bulk-modification.js';
import type { SyncErrorType } from './errors.js';
import type { AccountId, CommandId, OfferId, SellerId, Sku } from './ids.js';

/**
 * What the sync needs of a marketplace, in words that hold for any of them. `src/allegro/` implements it.
 * Every method takes its rate-limit permit by itself, throws only `SyncError`s (`errors.ts`) and never retries.
 */
export interface Marketplace {
  /** Whose shop the account's token opens. */
  identify(call: Call): Promise<Seller>;
  /** One page of the account's offers. The listing is a search index: it may be hours old. */
  listOffers(call: Call, page: { offset: number; limit: number }): Promise<OfferPage>;
  /** All offers with one of these SKUs; one SKU may have several offers. `skus` ≤ 100. */
  findOffers(call: Call, skus: readonly Sku[]): Promise<readonly ListedOffer[]>;
  /** The offer itself: decides where the listing is not to be trusted. */
  readOffer(call: Call, offerId: OfferId): Promise<OfferDetails>;
  /** Only the number of pieces on sale: the cheap way to check one offer. */
  readAvailable(call: Call, offerId: OfferId): Promise<number>;
  /** Sends an absolute value to one offer. */
  writeOffer(call: Call, offerId: OfferId, write: OfferWrite): Promise<WriteAnswer>;
  /** Asks what became of a write that was answered `accepted`. */
  checkOperation(call: Call, operation: string): Promise<OperationAnswer>;
  /** One value ≥ 1 for many offers. */
  submitQuantityCommand(call: Call, command: QuantityCommand): Promise<CommandAnswer>;
  /** The report of a quantity command: all its tasks once it is complete. */
  readQuantityCommand(call: Call, commandId: CommandId): Promise<CommandReport>;
  /** Ends offers without touching their stock: the last way for an offer that must go to 0 and cannot be set. */
  submitEndCommand(call: Call, command: EndCommand): Promise<CommandAnswer>;
  readEndCommand(call: Call, commandId: CommandId): Promise<CommandReport>;
  /** A value for each of several offers in one request; null: this marketplace has no such command. */
  readonly bulk: BulkModification | null;
  /** How many offers of the seller may be written within the next hour, by each way. */
  roomForWrites(sellerId: SellerId): Promise<WriteRoom>;
  /** How long such requests would wait for their permits now, taking none; 0: go. */
  peekPermit(next: NextRequests): Promise<{ waitMs: number; scope: string | null }>;
}

/** What is about to be sent. */
export interface NextRequests {
  readonly atOnce: number;
  /** Single writes to this seller's offers, which the marketplace counts for the seller too; null: anything else. */
  readonly writesOf: SellerId | null;
}

/** For whom a call is made and how urgent it is. */
export interface Call {
  readonly accountId: AccountId;
  readonly priority: 'danger' | 'adhoc' | 'scheduled';
  readonly signal?: AbortSignal;
  /** For the log: which run, and of which offer's SKU, the request belongs to. */
  readonly runId?: string;
  readonly sku?: Sku;
  /** For the log: which attempt for the offer this is, from 1. */
  readonly attempt?: number;
  /**
   * A write that is not on its way by then, by `performance.now()`, is not sent: its number may be old by now. It ends as
   * `DependencyUnavailable`.
   */
  readonly sendBy?: number;
}

export interface Seller {
  readonly sellerId: SellerId;
  readonly login: string;
}

export type OfferStatus = 'INACTIVE' | 'ACTIVATING' | 'ACTIVE' | 'ENDED';
/** `OTHER`: a format this version does not know; never written to. */
export type OfferFormat = 'BUY_NOW' | 'AUCTION' | 'ADVERTISEMENT' | 'OTHER';
export const ENDED_BY = [
  'USER',
  'ADMIN',
  'EXPIRATION',
  'EMPTY_STOCK',
  'PRODUCT_DETACHMENT',
  'ERROR',
  'UNKNOWN',
] as const;
export type EndedBy = (typeof ENDED_BY)[number];

/** A value this version does not know is `UNKNOWN`: never taken for an ending that we may take back. */
export function toEndedBy(value: string): EndedBy {
  return ENDED_BY.find((known) => known === value) ?? 'UNKNOWN';
}

/** An offer as the listing shows it. */
export interface ListedOffer {
  readonly offerId: OfferId;
  readonly sku: Sku | null;
  readonly name: string;
  readonly format: OfferFormat;
  readonly status: OfferStatus;
  /** Pieces left to sell. */
  readonly available: number;
  /** Pieces sold in the last 30 days; counts against the highest number that can be set. */
  readonly sold: number;
  /** ISO time; null while it runs. */
  readonly endedAt: string | null;
  readonly isFulfillment: boolean;
  /**
   * Digest of what else the listing shows of it (price, delivery, conditions): another one when somebody has edited it.
   * null: it was not read from the listing.
   */
  readonly listedAs: string | null;
}

export interface OfferPage {
  readonly offers: readonly ListedOffer[];
  readonly totalCount: number;
}

/** An offer as the offer itself tells. */
export interface OfferDetails {
  readonly offerId: OfferId;
  readonly sku: Sku | null;
  readonly format: OfferFormat;
  readonly status: OfferStatus;
  readonly available: number;
  readonly endedBy: EndedBy | null;
  readonly endedAt: string | null;
  /** true: after an ending by stock 0 the marketplace relists the initial number under a new id. */
  readonly republish: boolean;
}

/**
 * - `quantity`: a number ≥ 1 on a running offer
 * - `zero`: 0, which ends the offer
 * - `end`: ended by its publication status, for offers that would be relisted by a zero
 * - `reactivate`: a number ≥ 1 and running again, in one request
 */
export type OfferWrite =
  | { readonly kind: 'quantity'; readonly quantity: number }
  | { readonly kind: 'zero' }
  | { readonly kind: 'end' }
  | { readonly kind: 'reactivate'; readonly quantity: number };

/** `applied`: done, with the number the marketplace shows now. `accepted`: not done yet; ask again with `operation`. */
export type WriteAnswer =
  | { readonly kind: 'applied'; readonly available: number | null; readonly traceId: string | null }
  | {
      readonly kind: 'accepted';
      readonly operation: string;
      readonly pollInMs: number;
      readonly traceId: string | null;
    };

/** A failed operation is thrown as `OfferRejected`. */
export type OperationAnswer = { readonly kind: 'done' } | { readonly kind: 'running'; readonly pollInMs: number };

/** Infinity: not limited. */
export interface WriteRoom {
  readonly single: number;
  readonly command: number;
  readonly bulk: number;
}

export interface QuantityCommand {
  readonly commandId: CommandId;
  readonly quantity: number;
  /** ≤ 1000 */
  readonly offerIds: readonly OfferId[];
}

export interface EndCommand {
  readonly commandId: CommandId;
  readonly offerIds: readonly OfferId[];
}

/** `already_used`: the id is known there; the report must tell whether the content is ours. */
export type CommandAnswer = { readonly kind: 'accepted' } | { readonly kind: 'already_used' };

export interface CommandReport {
  /** false: the marketplace has no such command: it is not there yet, never arrived, or is older than 7 days. */
  readonly isKnown: boolean;
  /** false: still at work; `tasks` may be incomplete. */
  readonly isComplete: boolean;
  readonly tasks: readonly CommandTask[];
}

export interface CommandTask {
  readonly offerId: OfferId;
  readonly state: 'new' | 'success' | 'fail';
  readonly code: string | null;
  readonly message: string | null;
  /** Of a failed task: what follows for the offer. */
  readonly errorType?: SyncErrorType;
  /** Of a failed task: what a person can do about it. */
  readonly whatToDo?: string;
}
