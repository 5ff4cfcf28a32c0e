import { describe, expect, test } from '@jest/globals';
import type { OfferFacts } from '../../../src/domain/decision.js';
import { toSku } from '../../../src/domain/ids.js';
import { judgeOffers } from '../../../src/local/oracle.js';
import { seedShops, syncOnce, type PlannerMutation } from './seeded-shops.js';

function withOffer(facts: OfferFacts, change: Partial<OfferFacts['offer']>): OfferFacts {
  return { ...facts, offer: { ...facts.offer, ...change } };
}

function withSettings(facts: OfferFacts, change: Partial<OfferFacts['settings']>): OfferFacts {
  return { ...facts, settings: { ...facts.settings, ...change } };
}

const MUTATIONS: readonly (PlannerMutation & { readonly rule: string })[] = [
  {
    rule: 'a SKU without a stock row is left alone (taken for 0)',
    facts: (facts) =>
      facts.stock === null && facts.offer.sku !== null
        ? { ...facts, stock: { sku: facts.offer.sku, quantity: 0, updatedAt: facts.now, lastSaleAt: null } }
        : facts,
  },
  {
    rule: 'an offer without a SKU is left alone (its id taken for the SKU)',
    facts: (facts) => {
      const sku = toSku(facts.offer.offerId);
      if (facts.offer.sku !== null || sku === null) return facts;
      return { ...withOffer(facts, { sku }), stock: { sku, quantity: 1, updatedAt: facts.now, lastSaleAt: null } };
    },
  },
  { rule: 'fulfilment is left alone', facts: (facts) => withOffer(facts, { isFulfillment: false }) },
  { rule: 'auctions and advertisements are left alone', facts: (facts) => withOffer(facts, { format: 'BUY_NOW' }) },
  {
    rule: 'drafts are left alone',
    facts: (facts) => (facts.offer.status === 'INACTIVE' ? withOffer(facts, { status: 'ACTIVE' }) : facts),
  },
  {
    rule: 'endings by others stay',
    facts: (facts) => (facts.offer.status === 'ENDED' ? { ...facts, endedBy: 'EMPTY_STOCK' } : facts),
  },
  { rule: 'the buffer is kept back', facts: (facts) => withSettings(facts, { buffer: 0 }) },
  { rule: 'the maximum is kept', facts: (facts) => withSettings(facts, { max: null }) },
  {
    rule: 'stock 0 ends the offer',
    decision: (decision) =>
      decision.kind === 'change' && decision.change === 'end' ? { kind: 'in_sync' as const } : decision,
  },
  { rule: 'what is kept at zero stays', facts: (facts) => withSettings(facts, { atZero: 'end' }) },
  { rule: 'raising can be switched off', facts: (facts) => withSettings(facts, { raise: true }) },
  { rule: 'lowering can be switched off', facts: (facts) => withSettings(facts, { lower: true }) },
  { rule: 'bringing back can be switched off', facts: (facts) => withSettings(facts, { reactivate: true }) },
];

const shops = seedShops(1);

describe('the oracle', () => {
  test.each([1, 2, 3])('finds nothing wrong with the planner as it is (seed %i)', (seed) => {
    const verdict = judgeOffers(syncOnce(seedShops(seed)));
    expect(verdict.wrong).toEqual([]);
    expect(verdict.toChange).toBeGreaterThan(100);
  });

  test.each(MUTATIONS)('notices when the planner breaks the rule: $rule', (mutation) => {
    const { wrong } = judgeOffers(syncOnce(shops, mutation));
    expect(wrong.length).toBeGreaterThan(0);
  });

  test('notices a planner that does nothing', () => {
    const idle = syncOnce(shops, { decision: () => ({ kind: 'in_sync' }) });
    const { wrong, toChange } = judgeOffers(idle);
    expect(wrong.length).toBeGreaterThanOrEqual(toChange);
  });
});
