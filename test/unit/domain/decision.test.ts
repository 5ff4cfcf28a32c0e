import { describe, expect, test } from '@jest/globals';
import { DEFAULT_ACCOUNT_SETTINGS, type AccountSettings } from '../../../src/domain/account.js';
import { decide, type OfferFacts } from '../../../src/domain/decision.js';
import { toSku } from '../../../src/domain/ids.js';
import { anOffer, aMemory, aStock, HOUR_MS, hoursAgo, NOW, theFacts } from './builders.js';

function settings(change: Partial<AccountSettings>): AccountSettings {
  return { ...DEFAULT_ACCOUNT_SETTINGS, ...change };
}

const change = (kind: string, target: number) => ({ kind: 'change', change: kind, target, overtakes: false });

describe('what a running offer needs', () => {
  test('is nothing when it shows the stock', () => {
    expect(decide(theFacts())).toEqual({ kind: 'in_sync' });
  });

  test.each([
    ['lower', 3, 3],
    ['raise', 9, 9],
    ['end', 0, 0],
  ])('is to %s when the stock is %i', (kind, stock, target) => {
    expect(decide(theFacts({ stock: aStock(stock) }))).toEqual(change(kind, target));
  });

  test('keeps the buffer back and never shows more than the maximum', () => {
    expect(decide(theFacts({ stock: aStock(10), settings: settings({ buffer: 7 }) }))).toEqual(change('lower', 3));
    expect(decide(theFacts({ stock: aStock(50), settings: settings({ max: 20 }) }))).toEqual(change('raise', 20));
    expect(decide(theFacts({ stock: aStock(2), settings: settings({ buffer: 2 }) }))).toEqual(change('end', 0));
  });

  test('counts sold pieces against the highest number, without ending the offer by it', () => {
    expect(decide(theFacts({ stock: aStock(200_000), offer: anOffer({ sold: 9 }) }))).toEqual(change('raise', 99_990));
    expect(decide(theFacts({ stock: aStock(5), offer: anOffer({ sold: 200_000 }) }))).toEqual(change('lower', 1));
  });
});

describe('an offer that is not ours to write to', () => {
  test.each<[string, Partial<OfferFacts>]>([
    ['no_sku', { offer: anOffer({ sku: null }), memory: aMemory({ sku: null }) }],
    ['unknown_sku', { stock: null }],
    ['not_buy_now', { offer: anOffer({ format: 'AUCTION' }) }],
    ['not_buy_now', { offer: anOffer({ format: 'ADVERTISEMENT' }) }],
    ['not_buy_now', { offer: anOffer({ format: 'OTHER' }) }],
    ['fulfillment', { offer: anOffer({ isFulfillment: true }) }],
    ['draft', { offer: anOffer({ status: 'INACTIVE' }) }],
    ['activating', { offer: anOffer({ status: 'ACTIVATING' }) }],
    ['excluded', { isExcluded: true }],
    [
      'quarantined',
      {
        stock: aStock(9),
        quarantine: { retryAt: new Date(NOW.getTime() + 1), available: 5, status: 'ACTIVE', target: 9, listedAs: null },
      },
    ],
    ['switched_off', { stock: aStock(9), settings: settings({ raise: false }) }],
    ['switched_off', { stock: aStock(1), settings: settings({ lower: false }) }],
    ['switched_off', { stock: aStock(0), settings: settings({ lower: false }) }],
    ['switched_off', { stock: aStock(0), settings: settings({ atZero: 'keep' }) }],
  ])('is skipped as %s', (reason, facts) => {
    expect(decide(theFacts(facts))).toEqual({ kind: 'skipped', reason });
  });

  test('is counted under the first reason that holds', () => {
    const everything = { offer: anOffer({ sku: null, format: 'AUCTION', isFulfillment: true }), isExcluded: true };
    expect(decide(theFacts({ ...everything, isRead: true }))).toEqual({ kind: 'skipped', reason: 'no_sku' });
    expect(decide(theFacts({ offer: anOffer({ status: 'INACTIVE', isFulfillment: true }) }))).toEqual({
      kind: 'skipped',
      reason: 'fulfillment',
    });
  });

  test('comes out of quarantine when its time is over, or its stock, its number or what is listed of it has changed', () => {
    const retryAt = new Date(NOW.getTime() + 1);
    const quarantine = { retryAt, available: 5, status: 'ACTIVE' as const, target: 9, listedAs: 'as it was' };
    const facts = { stock: aStock(9), quarantine };
    expect(decide(theFacts({ ...facts, now: quarantine.retryAt }))).toEqual(change('raise', 9));
    expect(decide(theFacts({ ...facts, stock: aStock(8) }))).toEqual(change('raise', 8));
    expect(decide(theFacts({ ...facts, offer: anOffer({ available: 6 }) }))).toEqual(change('raise', 9));
    expect(decide(theFacts({ ...facts, offer: anOffer({ listedAs: 'edited' }) }))).toEqual(change('raise', 9));
    for (const listedAs of ['as it was', null]) {
      expect(decide(theFacts({ ...facts, offer: anOffer({ listedAs }) }))).toMatchObject({ reason: 'quarantined' });
    }
  });
});

describe('an ended offer', () => {
  const endedAt = hoursAgo(5).toISOString();
  const ended = anOffer({ status: 'ENDED', available: 0, endedAt });
  const remembered = (endedBy: 'EMPTY_STOCK' | 'USER') =>
    aMemory({
      knownAvailable: 0,
      endedBy,
      endedByFor: new Date(endedAt),
      ending: { endedAt: new Date(endedAt), soldBefore: 0, isExplained: true },
    });

  test('is in sync while there is no stock, whoever ended it, without asking', () => {
    expect(decide(theFacts({ offer: ended, stock: aStock(0), memory: null }))).toEqual({ kind: 'in_sync' });
  });

  test('is asked who ended it, once for each ending', () => {
    expect(decide(theFacts({ offer: ended, memory: null }))).toEqual({ kind: 'look' });
    expect(decide(theFacts({ offer: ended, memory: remembered('USER') }))).toEqual({
      kind: 'skipped',
      reason: 'ended_by_other',
    });
    const endedAgain = anOffer({ ...ended, endedAt: hoursAgo(1).toISOString() });
    expect(decide(theFacts({ offer: endedAgain, memory: remembered('USER') }))).toEqual({ kind: 'look' });
  });

  test('comes back when it was sold out', () => {
    expect(decide(theFacts({ offer: ended, memory: remembered('EMPTY_STOCK') }))).toEqual(change('reactivate', 5));
    expect(decide(theFacts({ offer: ended, memory: null, isRead: true, endedBy: 'EMPTY_STOCK' }))).toEqual(
      change('reactivate', 5),
    );
  });

  test.each(['USER', 'ADMIN', 'EXPIRATION', 'PRODUCT_DETACHMENT', 'ERROR', 'UNKNOWN'] as const)(
    'stays ended when %s ended it',
    (endedBy) => {
      expect(decide(theFacts({ offer: ended, memory: null, isRead: true, endedBy }))).toEqual({
        kind: 'skipped',
        reason: 'ended_by_other',
      });
    },
  );

  test('comes back when the ending by status was ours', () => {
    const memory = aMemory({ ...remembered('USER'), endedByUsAt: new Date(Date.parse(endedAt) - 60_000) });
    expect(decide(theFacts({ offer: ended, memory }))).toEqual(change('reactivate', 5));
    const longAgo = aMemory({ ...remembered('USER'), endedByUsAt: hoursAgo(100) });
    expect(decide(theFacts({ offer: ended, memory: longAgo }))).toEqual({ kind: 'skipped', reason: 'ended_by_other' });
  });

  test('stays ended where returning is switched off, and with one piece kept at zero stock', () => {
    const facts = { offer: ended, memory: remembered('EMPTY_STOCK') };
    expect(decide(theFacts({ ...facts, settings: settings({ reactivate: false }) }))).toEqual({
      kind: 'skipped',
      reason: 'switched_off',
    });
    expect(decide(theFacts({ ...facts, stock: aStock(0), settings: settings({ atZero: 'one' }) }))).toEqual({
      kind: 'in_sync',
    });
  });
});

describe('with one piece kept at zero stock', () => {
  const one = settings({ atZero: 'one' });

  test('an offer is lowered to one piece, never raised to it and never ended', () => {
    expect(decide(theFacts({ stock: aStock(0), settings: one }))).toEqual(change('lower', 1));
    expect(decide(theFacts({ stock: aStock(0), settings: one, offer: anOffer({ available: 1 }) }))).toEqual({
      kind: 'in_sync',
    });
  });
});

describe('a stock row older than STOCK_MAX_AGE', () => {
  const old = { stock: aStock(9, hoursAgo(10)), memory: aMemory({ knownAt: hoursAgo(1) }), stockMaxAgeMs: 9 * HOUR_MS };

  test('raises nothing and brings nothing back', () => {
    const held = { kind: 'held', reason: 'stale_stock', target: 9 };
    expect(decide(theFacts(old))).toEqual({ ...held, change: 'raise' });
    const ended = anOffer({ status: 'ENDED', available: 0, sold: 5, endedAt: hoursAgo(2).toISOString() });
    const memory = aMemory({ knownAvailable: 0 });
    expect(decide(theFacts({ ...old, memory, offer: ended, isRead: true, endedBy: 'EMPTY_STOCK' }))).toEqual({
      ...held,
      change: 'reactivate',
    });
  });

  test('still lowers and ends', () => {
    expect(decide(theFacts({ ...old, stock: aStock(2, hoursAgo(10)) }))).toEqual(change('lower', 2));
    expect(decide(theFacts({ ...old, stock: aStock(0, hoursAgo(10)) }))).toEqual(change('end', 0));
  });

  test('is no matter while it is young enough, or while the setting is off', () => {
    expect(decide(theFacts({ ...old, stockMaxAgeMs: 10 * HOUR_MS }))).toEqual(change('raise', 9));
    expect(decide(theFacts({ ...old, stockMaxAgeMs: null }))).toEqual(change('raise', 9));
  });
});

describe('a number that fell at the marketplace while the stock row stayed the same', () => {
  const fallen = { offer: anOffer({ available: 3 }), stock: aStock(5, hoursAgo(10)) };

  test('is held as a sale that is not booked yet', () => {
    expect(decide(theFacts(fallen))).toEqual({
      kind: 'held',
      reason: 'unbooked_sale',
      change: 'raise',
      target: 5,
    });
  });

  test('is raised again once the stock row has changed', () => {
    expect(decide(theFacts({ ...fallen, stock: aStock(4, hoursAgo(0.5)) }))).toEqual(change('raise', 4));
  });

  test('stays held at the next scan, until patience is over', () => {
    const stock = aStock(5, hoursAgo(10));
    const memory = aMemory({ knownAvailable: 3, unbookedSince: hoursAgo(1), unbookedStockAt: stock.updatedAt });
    const facts = { ...fallen, stock, memory };
    expect(decide(theFacts(facts)).kind).toBe('held');
    expect(decide(theFacts({ ...facts, now: new Date(NOW.getTime() + HOUR_MS) }))).toEqual(change('raise', 5));
  });

  test('holds a return too: the offer was sold out', () => {
    const offer = anOffer({ status: 'ENDED', available: 0, sold: 5, endedAt: hoursAgo(0.2).toISOString() });
    expect(decide(theFacts({ offer, isRead: true, endedBy: 'EMPTY_STOCK' })).kind).toBe('held');
  });

  test('never holds a lowering or an ending', () => {
    expect(decide(theFacts({ ...fallen, stock: aStock(2) }))).toEqual(change('lower', 2));
    expect(decide(theFacts({ ...fallen, stock: aStock(0) }))).toEqual(change('end', 0));
  });

  test('is no sale when the offer is seen for the first time', () => {
    expect(decide(theFacts({ ...fallen, memory: null }))).toEqual(change('raise', 5));
  });
});

describe('a sale that the marketplace has told of', () => {
  const told = aStock(9, hoursAgo(3), hoursAgo(1));

  test('holds raises and returns until the stock row has changed, also of an offer that was never seen', () => {
    const held = { kind: 'held', reason: 'unbooked_sale', target: 9 };
    expect(decide(theFacts({ stock: told }))).toEqual({ ...held, change: 'raise' });
    expect(decide(theFacts({ stock: told, memory: null }))).toEqual({ ...held, change: 'raise' });
    const dry = anOffer({ available: 0 });
    expect(decide(theFacts({ stock: told, memory: null, offer: dry, isRead: true }))).toEqual({
      ...held,
      change: 'reactivate',
    });
    expect(decide(theFacts({ stock: aStock(9, hoursAgo(1), hoursAgo(1)) }))).toEqual(change('raise', 9));
  });

  test('never holds a lowering, and nothing once patience is over', () => {
    expect(decide(theFacts({ stock: aStock(2, hoursAgo(3), hoursAgo(1)) }))).toEqual(change('lower', 2));
    expect(decide(theFacts({ stock: told, unbookedSalePatienceMs: HOUR_MS }))).toEqual(change('raise', 9));
  });
});

describe('a listing that may be stale', () => {
  const written = aMemory({ knownAvailable: 8, beforeWrite: 5, writtenAt: hoursAgo(1) });

  test('is doubted where it shows the number from before our write', () => {
    expect(decide(theFacts({ memory: written, stock: aStock(8) }))).toEqual({ kind: 'look' });
  });

  test('is believed again after a day', () => {
    const memory = aMemory({ ...written, writtenAt: hoursAgo(25) });
    expect(decide(theFacts({ memory, stock: aStock(8) })).kind).not.toBe('look');
  });

  test('is doubted where it shows the status from before our ending', () => {
    const memory = aMemory({
      knownAvailable: 0,
      beforeWrite: 5,
      beforeWriteStatus: 'ACTIVE',
      writtenAt: hoursAgo(1),
    });
    expect(decide(theFacts({ memory, stock: aStock(0) }))).toEqual({ kind: 'look' });
  });

  test('is doubted where it shows a running offer without pieces, or a write has no known outcome', () => {
    expect(decide(theFacts({ offer: anOffer({ available: 0 }) }))).toEqual({ kind: 'look' });
    expect(decide(theFacts({ memory: aMemory({ hasUnsettledWrite: true }) }))).toEqual({ kind: 'look' });
    const relabelled = theFacts({ memory: aMemory({ sku: toSku('OTHER') }), stock: aStock(8) });
    expect(decide(relabelled)).toEqual({ kind: 'look' });
    expect(decide({ ...relabelled, isRead: true })).toMatchObject({ kind: 'change', change: 'raise' });
    expect(decide({ ...relabelled, stock: aStock(5) })).toEqual({ kind: 'look' });
    expect(decide({ ...relabelled, stock: aStock(5), isRead: true })).toEqual({ kind: 'in_sync' });
  });

  test('brings an offer back that is on its way to being ended', () => {
    const facts = theFacts({ offer: anOffer({ available: 0 }), memory: null, isRead: true });
    expect(decide(facts)).toEqual(change('reactivate', 5));
  });
});

describe('an offer with a command still at work', () => {
  const memory = aMemory({ hasUnsettledWrite: true, hasPendingCommand: true });

  test('waits with a raise, and overtakes with a lower number or an ending', () => {
    const facts = { memory, isRead: true };
    expect(decide(theFacts({ ...facts, stock: aStock(9) }))).toEqual({
      kind: 'pending',
      reason: 'command_pending',
      change: 'raise',
      target: 9,
    });
    expect(decide(theFacts({ ...facts, stock: aStock(2) }))).toEqual({ ...change('lower', 2), overtakes: true });
    expect(decide(theFacts({ ...facts, stock: aStock(0) }))).toEqual({ ...change('end', 0), overtakes: true });
  });
});
