import { describe, expect, it } from '@jest/globals';

import { changeSettings, FAST_SETTINGS, REALISTIC_DELAYS } from '../../../simulator/settings.js';

describe('changeSettings', () => {
  it('changes the parts named and leaves the rest', () => {
    const changed = changeSettings(FAST_SETTINGS, { indexLagMs: 5, applicationLimit: { requests: 7 } });
    expect(changed).toEqual({
      ...FAST_SETTINGS,
      indexLagMs: 5,
      applicationLimit: { ...FAST_SETTINGS.applicationLimit, requests: 7 },
    });
  });

  it('switches off by null and on again by a whole value', () => {
    const off = changeSettings(FAST_SETTINGS, { applicationLimit: null });
    expect(off.applicationLimit).toBeNull();
    const limit = { requests: 1, windowMs: 2, blockMs: 3, prolong: true };
    expect(changeSettings(off, { applicationLimit: limit }).applicationLimit).toEqual(limit);
  });

  it.each([[{ indexLag: 5 }], [{ indexLagMs: -5 }], [{ applicationLimit: { request: 5 } }], [{ asyncEdits: 'none' }]])(
    'refuses %j',
    (change) => {
      expect(() => changeSettings(FAST_SETTINGS, change)).toThrow(/indexLag|request|asyncEdits/);
    },
  );

  it('knows delays of Allegro’s size', () => {
    expect(changeSettings(FAST_SETTINGS, REALISTIC_DELAYS).operationRetryAfterS).toBe(5);
  });
});
