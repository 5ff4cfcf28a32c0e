import { expect, test } from '@jest/globals';
import { MARKETPLACE_SLOTS, SENDS_AT_ONCE } from '../../../src/workflows/api.js';
import { BATCHES_AT_ONCE, RETRIES_AT_ONCE } from '../../../src/workflows/write-changes.js';

const REPORTS_AT_ONCE = 1;
/** 2 s × 150 requests/s. */
const MOST_IN_FLIGHT = 300;

test('two accounts whose writes are never answered leave slots of a worker to the others', () => {
  const slotsOfOne = BATCHES_AT_ONCE + RETRIES_AT_ONCE + REPORTS_AT_ONCE;

  expect(2 * slotsOfOne).toBeLessThan(MARKETPLACE_SLOTS);
});

test('a worker with all slots taken by batches has no more requests in flight than it may', () => {
  expect(MARKETPLACE_SLOTS * SENDS_AT_ONCE).toBeLessThanOrEqual(MOST_IN_FLIGHT);
});
