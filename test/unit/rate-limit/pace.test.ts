import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkQuota, isCounted, unitSpacingMs, type Quota } from '../../../src/rate-limit/pace.js';
import { JITTER_MS } from '../../../src/rate-limit/permit-script.js';
import { heaviestWindow } from '../../integration/rate-limit/arrivals.js';

function aQuota(part: Partial<Quota> = {}): Quota {
  return { scope: 'app', limit: 9000, windowMs: 60_000, weight: 1, maxWeight: 1, ...part };
}

describe('the pace of a quota', () => {
  it('is (60 s + 2 s) / limit for requests that all weigh 1', () => {
    expect(unitSpacingMs(aQuota())).toBeCloseTo(62_000 / 9000, 9);
  });

  it('leaves room for the heaviest request where weights differ', () => {
    expect(unitSpacingMs(aQuota({ maxWeight: 1000 }))).toBeCloseTo(62_000 / 8001, 9);
  });

  it('uses at least 96 % of the limit of every window where requests weigh 1', () => {
    expect(60_000 / unitSpacingMs(aQuota())).toBeGreaterThan(0.96 * 9000);
  });

  it('never lets a window of arrivals exceed the limit, whatever the weights and delays below 2 s', () => {
    const delayed = fc.record({
      weight: fc.integer({ min: 1, max: 7 }),
      delay: fc.double({ min: 0, max: 0.999, noNaN: true }),
    });
    const requests = fc.array(delayed, { minLength: 20, maxLength: 120 });
    fc.assert(
      fc.property(requests, fc.integer({ min: 7, max: 60 }), (all, limit) => {
        const quota = aQuota({ limit, maxWeight: 7 });
        let slot = 0;
        const arrivals = all.map(({ weight, delay }) => {
          const arrival = { atMs: slot + delay * JITTER_MS, weight };
          slot += weight * unitSpacingMs(quota);
          return arrival;
        });
        expect(heaviestWindow(arrivals, quota.windowMs)).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it('counts windows longer than a minute instead of pacing them', () => {
    expect(isCounted(aQuota())).toBe(false);
    expect(isCounted(aQuota({ windowMs: 3_600_000 }))).toBe(true);
  });

  it.each([
    ['a weight above the largest', { weight: 2 }],
    ['a largest weight above the limit', { maxWeight: 9001 }],
    ['a weight of 0', { weight: 0 }],
    ['a fractional limit', { limit: 0.5 }],
    ['no window', { windowMs: 0 }],
    ['a window of a day', { windowMs: 86_400_000 }],
    ['no scope', { scope: '' }],
  ])('refuses a quota with %s', (_name, part) => {
    expect(() => checkQuota(aQuota(part))).toThrow(RangeError);
  });
});
