import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { judgeOffers } from '../../src/local/oracle.js';
import { until } from '../integration/cli/temporal-namespace.js';
import {
  filled,
  liveAccount,
  runningOffers,
  SELLER,
  startUnderTest,
  stockOf,
  times,
  type ApplicationUnderTest,
} from './application-under-test.js';

/** Each number for at most nine offers, so that every offer needs a request of its own. */
const SHOWN = Array.from({ length: 540 }, (_, index) => 200 + Math.floor(index / 9));
const STOCK = SHOWN.map((number) => number - 150);
const PATCH = 'PATCH /sale/product-offers/{offerId}';
const OBEYED_WITHIN_MS = 5_000;

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({ simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] } });
  const { application, importStock } = running;
  await application.admin.addOffers([
    ...runningOffers('TEA', SHOWN),
    ...runningOffers('GONE', times(4, 5)),
    ...runningOffers('MORE', times(3, 5)),
  ]);
  await importStock({ ...stockOf('TEA', STOCK), ...stockOf('GONE', times(4, 0)), ...stockOf('MORE', times(3, 6)) });
  await application.connectAccounts('preview');
}, 120_000);
afterAll(() => running.close());

async function countWrites(): Promise<number> {
  const { requestsByRoute } = await running.application.admin.report();
  return Object.entries(requestsByRoute)
    .filter(([route]) => /^(PATCH|PUT|DELETE) /.test(route))
    .reduce((sum, [, count]) => sum + count, 0);
}

describe('an account in preview', () => {
  test('shows all that a live one would do, and writes nothing', async () => {
    const before = await running.offers();
    const { status, account, runId } = await running.sync();
    expect(status).toBe(0);
    expect(filled(account('shop-1'))).toEqual({ would_end: 4, would_lower: 540, would_raise: 3 });
    expect(await countWrites()).toBe(0);
    expect(await running.offers()).toEqual(before);

    const listed = z.array(z.object({ bucket: z.string() })).parse(await running.json('changes', '--run', runId));
    expect(listed).toHaveLength(547);
  });
});

describe('the stop switch', () => {
  test('stops a run in the middle of its writes within 5 s; after "start" the next run finishes the work', async () => {
    const { application, json, offers, sync } = running;
    const { admin } = application;
    const before = await offers();
    await json('accounts', 'set', 'shop-1', '--mode', 'live');
    // Slow enough for the run to be still at work when it is stopped.
    await admin.changeSettings({ latency: { p50Ms: 250, p99Ms: 400 } });
    const stopped = sync();
    await until('the run is writing', async () => (await countWrites()) > 40, 30_000);
    await json('stop', '--reason', 'wrong file');
    const stoppedAt = Date.now();

    const { status, account } = await stopped;
    expect(status).toBe(1);
    expect(account('shop-1').outcome).toBe('stopped');
    const journal = await admin.journal({ limit: 100_000 });
    const late = journal.entries.filter(({ method, at }) => method === 'PATCH' && at > stoppedAt + OBEYED_WITHIN_MS);
    expect(late).toEqual([]);
    const { requestsByRoute } = await admin.report();
    expect(requestsByRoute[PATCH]).toBeLessThan(540);

    const again = await sync();
    expect(again.account('shop-1').outcome).toBe('stopped');
    await json('start');
    await admin.changeSettings({ latency: null });
    const finished = await sync();
    expect(finished.account('shop-1').outcome).toBe('in_sync');
    const verdict = judgeOffers({
      before,
      after: await offers(),
      stockCsv: await admin.stockCsv(),
      accounts: [liveAccount(SELLER)],
      toldAsFailed: [],
    });
    expect(verdict.wrong).toEqual([]);
    expect((await admin.report()).harmfulWrites.total).toBe(0);
  });
});
