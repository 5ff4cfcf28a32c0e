import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decide, SKIP_REASONS, type OfferFacts } from '../../../src/domain/decision.js';
import { toSku } from '../../../src/domain/ids.js';
import { ENDED_BY } from '../../../src/domain/marketplace.js';
import { publishableQuantity } from '../../../src/domain/stock.js';
import { anOffer, aMemory, aStock, HOUR_MS, hoursAgo, NOW, theFacts } from './builders.js';

const RUNS = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 5_000) };

const hours = fc.integer({ min: 0, max: 48 }).map(hoursAgo);
const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: null });
const pieces = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 120_000 }));
const status = fc.constantFrom('INACTIVE', 'ACTIVATING', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'ENDED', 'ENDED');

const memory = fc
  .record({
    knownAvailable: pieces,
    knownAt: hours,
    beforeWrite: maybe(pieces),
    sku: fc.constantFrom(anOffer().sku, anOffer().sku, toSku('OTHER')),
    beforeWriteStatus: maybe(fc.constantFrom('ACTIVE', 'ENDED')),
    writtenAt: maybe(hours),
    endedBy: maybe(fc.constantFrom(...ENDED_BY)),
    endedByFor: maybe(hours),
    endedByUsAt: maybe(hours),
    zeroSentAt: maybe(hours),
    ending: maybe(fc.record({ endedAt: maybe(hours), soldBefore: fc.nat(12), isExplained: fc.boolean() })),
    sold: fc.nat(12),
    unbookedSince: maybe(hours),
    unbookedStockAt: maybe(hours),
    hasUnsettledWrite: fc.boolean(),
    unsettled: maybe(fc.record({ value: pieces, sentAt: hours })),
    hasPendingCommand: fc.boolean(),
  })
  .map(aMemory);

const facts: fc.Arbitrary<OfferFacts> = fc
  .record({
    offer: fc
      .record({
        sku: fc.constantFrom(anOffer().sku, anOffer().sku, anOffer().sku, null),
        format: fc.constantFrom('BUY_NOW', 'BUY_NOW', 'BUY_NOW', 'AUCTION', 'ADVERTISEMENT', 'OTHER'),
        status,
        available: pieces,
        sold: pieces,
        endedAt: maybe(hours.map((time) => time.toISOString())),
        isFulfillment: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
      })
      .map(anOffer),
    stock: maybe(
      fc.tuple(pieces, hours, maybe(hours)).map(([quantity, updatedAt, soldAt]) => aStock(quantity, updatedAt, soldAt)),
    ),
    settings: fc.record({
      buffer: fc.integer({ min: 0, max: 5 }),
      max: maybe(fc.integer({ min: 1, max: 50 })),
      raise: fc.boolean(),
      lower: fc.boolean(),
      reactivate: fc.boolean(),
      atZero: fc.constantFrom('end', 'one', 'keep'),
    }),
    memory: maybe(memory),
    isExcluded: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
    quarantine: maybe(
      fc.record({
        retryAt: hours,
        available: pieces,
        status: fc.constantFrom('ACTIVE', 'ENDED'),
        target: pieces,
        listedAs: fc.constantFrom(null, 'listed'),
      }),
    ),
    isRead: fc.boolean(),
    endedBy: maybe(fc.constantFrom(...ENDED_BY)),
  })
  .map(theFacts);

describe('for any offer, stock, settings and memory', () => {
  test('there is exactly one decision, and an offer that was read needs no second look', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const decision = decide(given);
        if (decision.kind === 'skipped') expect(SKIP_REASONS).toContain(decision.reason);
        if (given.isRead) expect(decision.kind).not.toBe('look');
      }),
      RUNS,
    );
  });

  test('no number is published without a stock row, and none above the stock less the buffer', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const decision = decide(given);
        if (decision.kind !== 'change' && decision.kind !== 'held') return;
        expect(given.stock).not.toBeNull();
        if (given.stock === null) return;
        const free = Math.max(0, given.stock.quantity - given.settings.buffer);
        const isKeptAtOne = free === 0 && given.settings.atZero === 'one';
        expect(decision.target).toBeLessThanOrEqual(isKeptAtOne ? 1 : free);
        if (!isKeptAtOne) {
          expect(decision.target).toBe(publishableQuantity(given.stock, given.settings, given.offer.sold));
        }
      }),
      RUNS,
    );
  });

  test('an offer that is not to be touched is never written to', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const { offer, isExcluded } = given;
        const isUntouchable =
          offer.sku === null ||
          offer.format !== 'BUY_NOW' ||
          offer.isFulfillment ||
          offer.status === 'INACTIVE' ||
          offer.status === 'ACTIVATING' ||
          isExcluded;
        if (isUntouchable) expect(decide(given).kind).not.toBe('change');
      }),
      RUNS,
    );
  });

  test('an offer is ended only when there is nothing to sell, and 0 is never sent to an ended one', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const decision = decide(given);
        if (decision.kind !== 'change') return;
        expect(decision.target === 0).toBe(decision.change === 'end');
        if (decision.change !== 'end') return;
        expect(given.offer.status).toBe('ACTIVE');
        expect(given.stock === null ? null : Math.max(0, given.stock.quantity - given.settings.buffer)).toBe(0);
      }),
      RUNS,
    );
  });

  test('only what was sold out, or ended by us, comes back', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const decision = decide(given);
        if (decision.kind !== 'change' || decision.change !== 'reactivate') return;
        if (given.offer.status !== 'ENDED') {
          expect(given.offer).toMatchObject({ status: 'ACTIVE', available: 0 });
          return;
        }
        const known = given.isRead ? given.endedBy : (given.memory?.endedBy ?? null);
        expect(known === 'EMPTY_STOCK' || given.memory?.endedByUsAt != null).toBe(true);
      }),
      RUNS,
    );
  });

  test('a zero of somebody else is never taken back', () => {
    let couldReturn = 0;
    const returns = (given: OfferFacts): boolean => {
      const decision = decide(given);
      return (decision.kind === 'change' || decision.kind === 'held') && decision.change === 'reactivate';
    };
    fc.assert(
      fc.property(facts, (drawn) => {
        const known = drawn.memory ?? aMemory();
        const ending = known.ending === null ? null : { ...known.ending, isExplained: false };
        const memory = { ...known, ending, zeroSentAt: null, endedByUsAt: null };
        const sold = Math.min(drawn.offer.sold, memory.sold, ending?.soldBefore ?? memory.sold);
        const status = drawn.offer.status === 'ACTIVE' ? 'ACTIVE' : 'ENDED';
        const given = { ...drawn, memory, offer: { ...drawn.offer, status, available: 0, sold } } as const;
        expect(returns(given)).toBe(false);
        if (returns({ ...given, offer: { ...given.offer, sold: 99 } })) couldReturn += 1;
      }),
      RUNS,
    );
    expect(couldReturn).toBeGreaterThan(0.01 * RUNS.numRuns);
  });

  test('a number that fell while the stock row stayed the same is never raised', () => {
    fc.assert(
      fc.property(facts, (given) => {
        if (given.memory === null || given.stock === null) return;
        const hasFallen = given.offer.available < given.memory.knownAvailable;
        if (!hasFallen || given.stock.updatedAt > given.memory.knownAt) return;
        const decision = decide(given);
        if (decision.kind === 'change') expect(['lower', 'end']).toContain(decision.change);
      }),
      RUNS,
    );
  });

  test('what was bought since the stock row changed is never raised while patience lasts', () => {
    let held = 0;
    const bought = facts.map((given) => {
      const { stock } = given;
      if (stock === null) return given;
      const updatedAt = hoursAgo(2);
      const lastSaleAt = hoursAgo(1);
      return { ...given, stock: { ...stock, updatedAt, lastSaleAt }, unbookedSalePatienceMs: 2 * HOUR_MS };
    });
    fc.assert(
      fc.property(bought, (given) => {
        const decision = decide(given);
        if (decision.kind === 'held') held += 1;
        if (decision.kind === 'change') expect(['lower', 'end']).toContain(decision.change);
      }),
      RUNS,
    );
    expect(held).toBeGreaterThan(0);
  });

  test('the same facts give the same decision, whatever the time since', () => {
    fc.assert(
      fc.property(facts, (given) => {
        expect(decide(structuredClone(given))).toEqual(decide(given));
        expect(NOW).toEqual(given.now);
      }),
      { numRuns: 500 },
    );
  });
});
