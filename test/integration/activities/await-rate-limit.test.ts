import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createQuotas } from '../../../src/allegro/quotas.js';
import { toSellerId } from '../../../src/domain/ids.js';
import { setUpActivities, SYNC, type ActivitiesUnderTest } from './activities-under-test.js';

const BLOCK_MS = 30_000;

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities();
});
afterAll(() => under.close());

test('a seller whose edits are full is waited for before a batch of writes, and read meanwhile', async () => {
  const shop = await under.shop();
  const runId = await shop.scanned();
  const [, ...ofSeller] = createQuotas(SYNC.rateLimit).forSeller(toSellerId(shop.seller), 'edits');
  const ask = (isWriting: boolean) =>
    under.act.awaitRateLimit({ runId, priority: 'scheduled', requestsAtOnce: 10, isWriting });
  expect((await ask(true)).waitMs).toBeLessThan(2_000);

  await under.allegro.limiter.penalise(ofSeller, BLOCK_MS);

  const writing = await ask(true);
  expect(writing.scope).toBe(`seller:${shop.seller}:edits:minute`);
  expect(writing.waitMs).toBeGreaterThan(BLOCK_MS - 5_000);
  expect(writing.waitMs).toBeLessThanOrEqual(BLOCK_MS);
  expect((await ask(false)).waitMs).toBeLessThan(2_000);
});
