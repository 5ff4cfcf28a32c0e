import { toOfferId, toSku } from '../../../src/domain/ids.js';
import { DEFAULT_ACCOUNT_SETTINGS } from '../../../src/domain/account.js';
import type { OfferFacts, OfferMemory } from '../../../src/domain/decision.js';
import type { ListedOffer } from '../../../src/domain/marketplace.js';
import type { StockLevel } from '../../../src/domain/stock.js';

export const NOW = new Date('2026-11-23T12:00:00Z');
export const HOUR_MS = 3_600_000;

export function hoursAgo(hours: number): Date {
  return new Date(NOW.getTime() - hours * HOUR_MS);
}

/** A running BUY_NOW offer of `SKU-1` with 5 pieces. */
export function anOffer(change: Partial<ListedOffer> = {}): ListedOffer {
  return {
    offerId: toOfferId('7700000001'),
    sku: toSku('SKU-1'),
    name: 'An offer',
    format: 'BUY_NOW',
    status: 'ACTIVE',
    available: 5,
    sold: 0,
    endedAt: null,
    isFulfillment: false,
    listedAs: null,
    ...change,
  };
}

export function aStock(quantity: number, updatedAt = hoursAgo(10), lastSaleAt: Date | null = null): StockLevel {
  const sku = toSku('SKU-1');
  if (sku === null) throw new Error('unreachable');
  return { sku, quantity, updatedAt, lastSaleAt };
}

/** Last seen an hour ago with 5 pieces, nothing open. */
export function aMemory(change: Partial<OfferMemory> = {}): OfferMemory {
  return {
    knownAvailable: 5,
    sku: anOffer().sku,
    knownAt: hoursAgo(1),
    beforeWrite: null,
    beforeWriteStatus: null,
    writtenAt: null,
    endedBy: null,
    endedByFor: null,
    endedByUsAt: null,
    zeroSentAt: null,
    ending: null,
    sold: 0,
    unbookedSince: null,
    unbookedStockAt: null,
    leftAloneFor: null,
    hasUnsettledWrite: false,
    unsettled: null,
    hasPendingCommand: false,
    ...change,
  };
}

/** In sync: 5 on sale, 5 in stock. */
export function theFacts(change: Partial<OfferFacts> = {}): OfferFacts {
  return {
    offer: anOffer(),
    stock: aStock(5),
    settings: DEFAULT_ACCOUNT_SETTINGS,
    memory: aMemory(),
    isExcluded: false,
    quarantine: null,
    contest: null,
    isRead: false,
    endedBy: null,
    now: NOW,
    unbookedSalePatienceMs: 2 * HOUR_MS,
    stockMaxAgeMs: null,
    ...change,
  };
}
