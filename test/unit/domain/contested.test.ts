import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { countFlips, isContested, type OwnWrite, type Sight } from '../../../src/domain/contested.js';
import { decide } from '../../../src/domain/decision.js';
import { anOffer, theFacts } from './builders.js';

function aSight(available: number, sold: number | null = 0, status: Sight['status'] = 'ACTIVE'): Sight {
  return { available, sold, status };
}

/** A write of 5 to an offer that showed `before`. */
function aWrite(before: Sight, next: Sight | null = null, value = 5): OwnWrite {
  return { value, before, next };
}

const LOWERED = aWrite(aSight(9));

describe('a value of ours', () => {
  test.each([
    ['raised by somebody else', LOWERED, aSight(7), 1],
    ['raised by somebody else, while pieces were sold', LOWERED, aSight(7, 2), 1],
    ['as we wrote it', LOWERED, aSight(5), 0],
    ['lowered by sales', LOWERED, aSight(3, 2), 0],
    ['lowered back to the number of before', aWrite(aSight(3, 40)), aSight(3, 40), 1],
    ['lowered to the number of before by sales', aWrite(aSight(3, 40)), aSight(3, 42), 0],
    ['lowered to the number of before while sold pieces left the 30 days', aWrite(aSight(3, 40)), aSight(3, 39), 0],
    ['lowered by more than was sold in 30 days', aWrite(aSight(9, 1)), aSight(2, 1), 1],
    ['lowered by what may have been sold', aWrite(aSight(9, 3)), aSight(2, 3), 0],
    ['lowered by more than was sold, of which some may be counted late', aWrite(aSight(9)), aSight(1, 2), 0],
    ['lowered while nobody knows what was sold', aWrite(aSight(3, null)), aSight(3), 0],
    ['an ending, taken back', aWrite(aSight(9), null, 0), aSight(9), 1],
    ['an ending, with a number left in it', aWrite(aSight(9), null, 0), aSight(9, 0, 'ENDED'), 0],
    ['a return, ended again without a sale', aWrite(aSight(0, 2, 'ENDED')), aSight(5, 2, 'ENDED'), 1],
  ])('%s: %j, then %j', (_name, write, next, flips) => {
    expect(countFlips([write], next)).toBe(flips);
  });

  test('is compared with what was seen next, not with what is seen now', () => {
    expect(countFlips([aWrite(aSight(9), aSight(5))], aSight(9))).toBe(0);
    expect(countFlips([aWrite(aSight(9), aSight(9))], aSight(5))).toBe(1);
  });
});

describe('an offer', () => {
  const twice = [aWrite(aSight(9), aSight(9)), aWrite(aSight(9), aSight(9))];

  test('is contested at the third flip', () => {
    expect(isContested({ isOpen: false, writes: [...twice, LOWERED] }, aSight(9))).toBe(true);
    expect(isContested({ isOpen: false, writes: [...twice, LOWERED] }, aSight(5))).toBe(false);
    expect(isContested({ isOpen: false, writes: twice }, aSight(9))).toBe(false);
  });

  test('is not, whatever was seen before, while it shows what we wrote last', () => {
    const thrice = [...twice, aWrite(aSight(9), aSight(9))];
    expect(isContested({ isOpen: false, writes: thrice }, aSight(9))).toBe(true);
    expect(isContested({ isOpen: false, writes: thrice }, aSight(5))).toBe(false);
  });

  test('is read before that is said, and left alone then', () => {
    const facts = theFacts({
      offer: anOffer({ available: 9 }),
      contest: { isOpen: false, writes: [...twice, LOWERED] },
    });
    expect(decide(facts)).toEqual({ kind: 'look' });
    expect(decide({ ...facts, isRead: true })).toEqual({ kind: 'skipped', reason: 'quarantined' });
    expect(decide({ ...facts, contest: { isOpen: true, writes: [] } })).toEqual({
      kind: 'skipped',
      reason: 'quarantined',
    });
  });

  test('is in sync, whatever was before, when it shows our number', () => {
    expect(decide(theFacts({ contest: { isOpen: true, writes: [] } }))).toEqual({ kind: 'in_sync' });
  });

  test('is never contested by sales alone', () => {
    const day = fc.array(fc.record({ value: fc.nat(50), soldOfIt: fc.nat(50), soldBetween: fc.nat(5) }), {
      minLength: 3,
      maxLength: 8,
    });
    fc.assert(
      fc.property(day, fc.nat(20), (steps, soldFirst) => {
        let sold = soldFirst;
        let seen = aSight(steps[0]?.value ?? 0, sold);
        const writes: OwnWrite[] = [];
        for (const { value, soldOfIt, soldBetween } of steps) {
          sold += Math.min(soldOfIt, value);
          // Ended when nothing was left.
          const left = Math.max(0, value - soldOfIt);
          const next = aSight(left, sold, left === 0 ? 'ENDED' : 'ACTIVE');
          writes.push(aWrite(seen, next, value));
          sold += soldBetween;
          seen = aSight(next.available, sold, next.status);
        }
        expect(countFlips(writes, seen)).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  test('is never contested by sales that exceed what `sold` gained, as long as the number of before is not met', () => {
    const sale = fc.record({
      value: fc.integer({ min: 1, max: 50 }),
      pieces: fc.nat(50),
      left30Days: fc.nat(60),
      soldBefore: fc.nat(60),
    });
    fc.assert(
      fc.property(sale, ({ value, pieces, left30Days, soldBefore }) => {
        const bought = Math.min(pieces, value);
        const next = aSight(value - bought, Math.max(0, soldBefore - left30Days) + bought);
        expect(countFlips([aWrite(aSight(value + 1, soldBefore), next, value)], next)).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });
});
