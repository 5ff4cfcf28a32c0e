import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JournalEntry } from '../../simulator/journal.js';
import {
  filled,
  runningOffers,
  SELLER,
  skuOf,
  startUnderTest,
  stockOf,
  type ApplicationUnderTest,
} from './application-under-test.js';

/** Each number for at most nine offers, so that every offer needs a request of its own. */
const SHOWN = Array.from({ length: 60 }, (_, index) => 200 + Math.floor(index / 9));
const STOCK = SHOWN.map((number) => number - 100);

/** What the application believes: 38 a second. What is true: 20 in 10 s, and a block that every request prolongs. */
const BELIEVED = '2400';
const TRUE_LIMIT = { requests: 20, windowMs: 10_000, blockMs: 2_000, prolong: true };

/** One account has four batches at work, each with five requests at once. */
const MOST_IN_FLIGHT = 4 * 5;

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({
    simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] },
    env: { ALLEGRO_SYNC_RATE_LIMIT: BELIEVED },
  });
  await running.application.admin.addOffers(runningOffers('TEA', SHOWN));
  await running.importStock(stockOf('TEA', STOCK));
  await running.application.connectAccounts('live');
  await running.application.admin.changeSettings({ applicationLimit: TRUE_LIMIT });
}, 120_000);
afterAll(() => running.close());

/** Refusals in a row are one block: the request that began it, and those sent into it. */
function blocksOf(entries: readonly JournalEntry[]): number[] {
  const blocks: number[] = [];
  let isBlocked = false;
  for (const { status } of entries) {
    if (status === 429 && isBlocked) blocks[blocks.length - 1] = (blocks.at(-1) ?? 0) + 1;
    else if (status === 429) blocks.push(0);
    isBlocked = status === 429;
  }
  return blocks;
}

test('a limit lower than believed, with blocks that grow: the run ends, and few requests are sent into each block', async () => {
  const { admin, logFiles, workers } = running.application;

  const { account } = await running.sync();

  expect(filled(account('shop-1'))).toEqual({ lowered: SHOWN.length });
  expect(
    Object.fromEntries((await running.offers()).map(({ externalId, available }) => [externalId, available])),
  ).toEqual(Object.fromEntries(STOCK.map((number, index) => [skuOf('TEA', index), number])));
  const blocks = blocksOf((await admin.journal()).entries);
  expect(blocks.length).toBeGreaterThan(0);
  expect(Math.max(...blocks)).toBeLessThanOrEqual(MOST_IN_FLIGHT);
  const { clients } = await admin.report();
  const counted = Object.values(clients).reduce((sum, { requestsIntoBlock }) => sum + requestsIntoBlock, 0);
  expect(counted).toBeLessThanOrEqual(MOST_IN_FLIGHT * blocks.length);

  // A limit lower than we count tells of somebody else: in the log, and as a metric.
  const logs = await Promise.all(logFiles.workers.map((file) => readFile(file, 'utf8')));
  expect(logs.join('')).toMatch(/"allegro_sync_limiter".*"assumed_limit_lowered"/);
  const metrics = await Promise.all(workers.map(async (worker) => (await fetch(`${worker.httpUrl}/metrics`)).text()));
  expect(metrics.join('')).toMatch(/allegro_sync_limiter_events_total\{kind="assumed_limit_lowered"\} [1-9]/);
}, 300_000);
