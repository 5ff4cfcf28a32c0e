import { describe, expect, test } from '@jest/globals';
import { bucketOfChange, BUCKETS, CHANGE_STATES, noCounts } from '../../../src/domain/buckets.js';
import { CHANGE_KINDS } from '../../../src/domain/decision.js';
import { guardEndings } from '../../../src/domain/guards.js';

describe('the guard on endings', () => {
  test.each([
    [10, 20, false],
    [11, 20, true],
    [20, 100, false],
    [21, 100, true],
    [0, 0, false],
    [10, 0, false],
  ])('%i endings in a shop of %i offers: held %s', (plannedEndings, activeOffers, isHeld) => {
    expect(guardEndings({ plannedEndings, activeOffers, maxEndedPercent: 20 }).isHeld).toBe(isHeld);
  });

  test('allows at least 10 endings even when the share is 0', () => {
    expect(guardEndings({ plannedEndings: 10, activeOffers: 5000, maxEndedPercent: 0 }).isHeld).toBe(false);
    expect(guardEndings({ plannedEndings: 11, activeOffers: 5000, maxEndedPercent: 0 }).isHeld).toBe(true);
  });
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
