import { createSimulation } from '../../../simulator/simulation.js';
import { seedCatalogue, seedSchema } from '../../../simulator/seed.js';
import { FAST_SETTINGS } from '../../../simulator/settings.js';
import { DEFAULT_ACCOUNT_SETTINGS, type AccountSettings } from '../../../src/domain/account.js';
import { decide, type Decision, type OfferFacts } from '../../../src/domain/decision.js';
import { toOfferId, toSku } from '../../../src/domain/ids.js';
import { toEndedBy, type OfferFormat, type OfferStatus } from '../../../src/domain/marketplace.js';
import type { JudgedAccount, OracleInput, TrueState } from '../../../src/local/oracle.js';

/** Shops with settings of every kind, and a stock file that differs from what they show. */
export interface SeededShops {
  readonly offers: readonly TrueState[];
  readonly stock: ReadonlyMap<string, number>;
  readonly stockCsv: string;
  readonly accounts: readonly JudgedAccount[];
}

const SETTINGS: readonly Partial<AccountSettings>[] = [
  {},
  { buffer: 2, max: 50 },
  { atZero: 'one' },
  { atZero: 'keep', raise: false },
  { lower: false, reactivate: false },
];
const OFFERS_PER_SHOP = 500;

export function seedShops(seed: number): SeededShops {
  const simulation = createSimulation(FAST_SETTINGS);
  const { accounts } = seedCatalogue(
    simulation,
    seedSchema.parse({ seed, accounts: SETTINGS.length, offers: SETTINGS.length * OFFERS_PER_SHOP }),
  );
  simulation.clock.clear();
  const entries = simulation.truth
    .entries()
    .filter((_, place) => place % 40 !== 0)
    .map(([sku, quantity], place): [string, number] => [sku, place % 25 === 0 ? quantity + 3 : quantity]);
  return {
    offers: [...simulation.catalogue.offers.values()],
    stock: new Map(entries),
    stockCsv: `sku,quantity\n${entries.map(([sku, quantity]) => `${sku},${quantity}\n`).join('')}`,
    accounts: accounts.map(({ sellerId }, index) => ({
      ...DEFAULT_ACCOUNT_SETTINGS,
      ...SETTINGS[index],
      sellerId,
      mode: 'live',
      excluded: [],
    })),
  };
}

/** The planner with one rule changed: in what it is told, or in what it says. */
export interface PlannerMutation {
  readonly facts?: (facts: OfferFacts) => OfferFacts;
  readonly decision?: (decision: Decision, facts: OfferFacts) => Decision;
}

/** Decides every offer, carries out what was decided as the marketplace would, and hands both states to the oracle. */
export function syncOnce(shops: SeededShops, mutation: PlannerMutation = {}): OracleInput {
  const toldAsFailed: string[] = [];
  const after = shops.offers.map((offer) => {
    const facts = factsOf(shops, offer);
    const told = mutation.facts?.(facts) ?? facts;
    const decided = decide(told);
    const decision = mutation.decision?.(decided, told) ?? decided;
    if (decision.kind !== 'change') return offer;
    if (decision.change === 'reactivate' && offer.rejection !== null) {
      toldAsFailed.push(offer.id);
      return offer;
    }
    return carriedOut(offer, decision.target);
  });
  return { before: shops.offers, after, stockCsv: shops.stockCsv, accounts: shops.accounts, toldAsFailed };
}

function carriedOut(offer: TrueState, target: number): TrueState {
  return target === 0
    ? { ...offer, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 }
    : { ...offer, status: 'ACTIVE', endedBy: null, available: target };
}

const NOW = new Date('2026-06-01T12:00:00Z');

function factsOf({ stock, accounts }: SeededShops, offer: TrueState): OfferFacts {
  const sku = toSku(offer.externalId);
  const quantity = sku === null ? undefined : stock.get(sku);
  const account = accounts.find(({ sellerId }) => sellerId === offer.sellerId);
  if (account === undefined) throw new Error(`offer ${offer.id} belongs to no account`);
  return {
    offer: {
      offerId: toOfferId(offer.id),
      sku,
      name: 'an offer',
      format: toFormat(offer.format),
      status: toStatus(offer.status),
      available: offer.available,
      sold: offer.sold,
      endedAt: offer.status === 'ENDED' ? NOW.toISOString() : null,
      isFulfillment: offer.isFulfillment,
      listedAs: null,
    },
    stock: sku === null || quantity === undefined ? null : { sku, quantity, updatedAt: NOW, lastSaleAt: null },
    settings: account,
    memory: null,
    isExcluded: false,
    quarantine: null,
    contest: null,
    isRead: true,
    endedBy: offer.endedBy === null ? null : toEndedBy(offer.endedBy),
    now: NOW,
    unbookedSalePatienceMs: 7_200_000,
    stockMaxAgeMs: null,
  };
}

function toFormat(format: string): OfferFormat {
  return format === 'BUY_NOW' || format === 'AUCTION' || format === 'ADVERTISEMENT' ? format : 'OTHER';
}

function toStatus(status: string): OfferStatus {
  if (status === 'ACTIVE' || status === 'ENDED' || status === 'INACTIVE' || status === 'ACTIVATING') return status;
  throw new Error(`unknown status ${status}`);
}
