import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { ApplicationLimit } from '../../../simulator/limits.js';
import { changeSettings, FAST_SETTINGS } from '../../../simulator/settings.js';
import { SlidingWindow } from '../../../simulator/window.js';

/** Times that only rise, with gaps from none to longer than the window. */
const times = fc
  .array(fc.nat({ max: 200 }), { maxLength: 200 })
  .map((gaps) => gaps.map((_, index) => gaps.slice(0, index + 1).reduce((sum, gap) => sum + gap, 0)));

describe('SlidingWindow', () => {
  it('holds what came in the last stretch, and knows the fullest stretch there was', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 500 }), (hits, lengthMs) => {
        const window = new SlidingWindow(lengthMs);
        const expected = hits.map((now, index) => hits.slice(0, index + 1).filter((at) => at > now - lengthMs).length);
        expect(hits.map((at) => window.add(at))).toEqual(expected);
        expect(window.highest).toBe(Math.max(0, ...expected));
      }),
    );
  });

  it('sums weights, and forgets them with their hits', () => {
    const window = new SlidingWindow(100);
    window.add(0, 5);
    window.add(50, 3);
    expect([window.sum(99), window.sum(100), window.sum(150)]).toEqual([8, 3, 0]);
    expect(window.highest).toBe(8);
  });

  it('stays exact over many more hits than it holds', () => {
    const window = new SlidingWindow(10);
    for (let at = 0; at < 50_000; at += 1) window.add(at);
    expect(window.sum(49_999)).toBe(10);
  });
});

describe('ApplicationLimit', () => {
  const limitOf = (requests: number): ApplicationLimit => {
    const settings = changeSettings(FAST_SETTINGS, { applicationLimit: { requests, windowMs: 100, blockMs: 100 } });
    return new ApplicationLimit(() => settings);
  };

  it('never lets more than the limit through in any window', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 10 }), (hits, requests) => {
        const limit = limitOf(requests);
        const passed = hits.filter((at) => limit.admit('app', at));
        for (const at of passed) {
          expect(passed.filter((other) => other > at - 100 && other <= at).length).toBeLessThanOrEqual(requests);
        }
      }),
    );
  });

  it('refuses nothing to who keeps the limit', () => {
    const limit = limitOf(10);
    for (let at = 0; at < 10_000; at += 10) expect(limit.admit('app', at)).toBe(true);
    expect(limit.report()).toMatchObject({ app: { blocks: 0, requests: 1000 } });
  });

  it('never opens to who keeps sending into the block', () => {
    const limit = limitOf(1);
    limit.admit('app', 0);
    for (let at = 1; at < 5000; at += 99) expect(limit.admit('app', at)).toBe(false);
    expect(limit.admit('app', 5100)).toBe(true);
  });
});
