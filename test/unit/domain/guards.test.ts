import { describe, expect, test } from '@jest/globals';
import { bucketOfChange, BUCKETS, CHANGE_STATES, noCounts } from '../../../src/domain/buckets.js';
import { CHANGE_KINDS } from '../../../src/domain/decision.js';
import {
  describeVerdict,
  isStockAccepted,
  judgeRun,
  type GuardMeasure,
  type GuardVerdict,
  type PlannedRises,
  type StockCount,
} from '../../../src/domain/guards.js';

const FULL = { rows: 100, filled: 80 };

/** A shop of 100 offers with 500 pieces, in sync, weighed against 20 %. */
function judge(
  change: {
    measure?: Partial<GuardMeasure>;
    endings?: number;
    rises?: Partial<PlannedRises>;
    stock?: Partial<StockCount>;
    stockBefore?: StockCount | null;
  } = {},
): GuardVerdict {
  return judgeRun({
    measure: { maxPercent: 20, activeOffers: 100, shownPieces: 500, isFirstLiveRun: false, ...change.measure },
    planned: { endings: change.endings ?? 0, rises: { offers: 0, addedPieces: 0, ...change.rises } },
    stock: { ...FULL, ...change.stock },
    stockBefore: change.stockBefore === undefined ? FULL : change.stockBefore,
  });
}

describe('endings, and raises with reactivations, each by their number', () => {
  test.each([
    [10, 20, false],
    [11, 20, true],
    [10, 12, false],
    [20, 100, false],
    [21, 100, true],
    [1000, 5000, false],
    [1001, 5000, true],
    [0, 0, false],
    [10, 0, false],
  ])('%i of them in a shop of %i offers: held %s', (offers, activeOffers, isHeld) => {
    const measure = { activeOffers, shownPieces: 100_000 };
    expect(judge({ endings: offers, measure }).reasons).toEqual(isHeld ? ['endings'] : []);
    expect(judge({ rises: { offers, addedPieces: offers }, measure }).reasons).toEqual(isHeld ? ['rises'] : []);
  });

  test('are weighed apart: what is allowed in one way is allowed while the other is held', () => {
    expect(judge({ endings: 20, rises: { offers: 21, addedPieces: 21 } }).reasons).toEqual(['rises']);
    expect(judge({ endings: 21, rises: { offers: 20, addedPieces: 20 } }).reasons).toEqual(['endings']);
  });

  test('at least 10 are allowed even when the share is 0, and any number when it is 100', () => {
    const none = { maxPercent: 0, activeOffers: 5000 };
    expect(judge({ endings: 10, measure: none }).reasons).toEqual([]);
    expect(judge({ endings: 11, measure: none }).reasons).toEqual(['endings']);
    const off = judge({
      endings: 5000,
      rises: { offers: 5000, addedPieces: 99_999_000 },
      stock: { rows: 0, filled: 0 },
      measure: { maxPercent: 100 },
    });
    expect(off.reasons).toEqual([]);
  });

  test('on the first live run many may rise, but endings are held as ever', () => {
    const measure = { isFirstLiveRun: true };
    expect(judge({ rises: { offers: 90, addedPieces: 900 }, measure }).reasons).toEqual([]);
    expect(judge({ endings: 21, measure }).reasons).toEqual(['endings']);
  });
});

describe('the pieces of a shop', () => {
  test('may grow threefold and no further, on the first live run too', () => {
    for (const isFirstLiveRun of [false, true]) {
      const measure = { isFirstLiveRun };
      expect(judge({ rises: { offers: 15, addedPieces: 1000 }, measure }).reasons).toEqual([]);
      expect(judge({ rises: { offers: 15, addedPieces: 1001 }, measure }).reasons).toEqual(['pieces']);
    }
  });

  test('may grow further by a small delivery to a small shop', () => {
    const small = { activeOffers: 12, shownPieces: 12 };
    expect(judge({ rises: { offers: 10, addedPieces: 999 }, measure: small }).reasons).toEqual([]);
    expect(judge({ rises: { offers: 10, addedPieces: 1000 }, measure: small }).reasons).toEqual(['pieces']);
    expect(judge({ rises: { offers: 1, addedPieces: 99_998 }, measure: small }).reasons).toEqual(['pieces']);
  });

  test('a sold-out shop that shows none is restocked like a small one', () => {
    const soldOut = { activeOffers: 0, shownPieces: 0 };
    expect(judge({ rises: { offers: 10, addedPieces: 500 }, measure: soldOut }).reasons).toEqual([]);
  });
});

describe('a stock table that is much smaller or emptier than at the last complete run', () => {
  test('holds even a single ending', () => {
    expect(judge({ endings: 1, stock: { filled: 63 } }).reasons).toEqual(['stock_fell']);
    expect(judge({ endings: 1, stock: { rows: 79 } }).reasons).toEqual(['stock_fell']);
  });

  test('holds nothing else', () => {
    const verdict = judge({ rises: { offers: 3, addedPieces: 30 }, stock: { rows: 0, filled: 0 } });
    expect(verdict).toMatchObject({ hasStockFallen: true, reasons: [] });
  });

  test('may lose the share, or 10 rows, and is not judged before there was a complete run', () => {
    expect(judge({ endings: 5, stock: { rows: 80, filled: 64 } }).reasons).toEqual([]);
    const small = { rows: 12, filled: 12 };
    expect(judge({ endings: 5, stock: { rows: 12, filled: 2 }, stockBefore: small }).reasons).toEqual([]);
    expect(judge({ endings: 5, stock: { rows: 12, filled: 1 }, stockBefore: small }).reasons).toEqual(['stock_fell']);
    expect(judge({ endings: 5, stock: { rows: 0, filled: 0 }, stockBefore: null }).reasons).toEqual([]);
  });

  test('stays the measure until it is back, a person has let endings through, or it held nothing for a day', () => {
    const held = judge({ endings: 1, stock: { filled: 0 } });
    const idle = judge({ stock: { filled: 0 } });
    const hours = (count: number) => ({ hasApproval: false, standsForMs: count * 3_600_000 });
    expect(isStockAccepted(judge(), hours(1))).toBe(true);
    expect(isStockAccepted(held, hours(1))).toBe(false);
    expect(isStockAccepted(held, hours(25))).toBe(false);
    expect(isStockAccepted(held, { ...hours(1), hasApproval: true })).toBe(true);
    expect(isStockAccepted(idle, hours(23))).toBe(false);
    expect(isStockAccepted(idle, hours(24))).toBe(true);
  });
});

test('says why in one paragraph', () => {
  const verdict = judge({ endings: 21, rises: { offers: 30, addedPieces: 2000 }, stock: { filled: 5 } });
  expect(describeVerdict(verdict)).toBe(
    'would end 21 of 100 active offers; 20 are allowed. It would end 21 offers while the stock has 5 of 100 rows ' +
      'with pieces; at the last complete run it had 80 of 100. It would raise or bring back 30 offers, with 100 ' +
      'active ones; 20 are allowed. It would put 2000 more pieces on sale, with 500 shown now: more than three times ' +
      'as many',
  );
});

describe('the bucket of a change', () => {
  test('exists for every kind and state, in preview and live', () => {
    for (const kind of CHANGE_KINDS) {
      for (const state of CHANGE_STATES) {
        expect(BUCKETS).toContain(bucketOfChange({ kind, state, isPreview: false }));
        expect(BUCKETS).toContain(bucketOfChange({ kind, state, isPreview: true }));
      }
    }
    expect(Object.keys(noCounts()).sort()).toEqual([...BUCKETS].sort());
  });

  test('claims success for confirmed writes alone', () => {
    for (const state of CHANGE_STATES) {
      const bucket = bucketOfChange({ kind: 'raise', state, isPreview: false });
      expect(bucket === 'raised').toBe(state === 'confirmed');
    }
  });
});
