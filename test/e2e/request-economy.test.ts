import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SimulatorReport } from '../../simulator/report.js';
import {
  filled,
  runningOffers,
  SELLER,
  startUnderTest,
  stockOf,
  times,
  type ApplicationUnderTest,
} from './application-under-test.js';

/** Numbers that no two offers share, so that none of them goes by command. */
const DIFFERENT = Array.from({ length: 40 }, (_, index) => 100 + index);

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({ simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] } });
  const { application, importStock, sync } = running;
  await application.admin.addOffers([
    ...runningOffers('SAME', times(2900, 20)),
    ...runningOffers('DIFF', DIFFERENT),
    ...runningOffers('GONE', times(15, 3)),
    ...runningOffers('MANY', times(25, 30)),
  ]);
  await importStock({
    ...stockOf('SAME', times(2900, 20)),
    ...stockOf('DIFF', DIFFERENT),
    ...stockOf('GONE', times(15, 3)),
    ...stockOf('MANY', times(25, 30)),
  });
  await application.connectAccounts('live');
  const { account } = await sync();
  expect(filled(account('shop-1'))).toEqual({ in_sync: 2980 });
}, 120_000);
afterAll(() => running.close());
beforeEach(() => running.application.admin.resetReport());

const LISTING = 'GET /sale/offers';
const POLL = 'GET /sale/product-offers/{offerId}/operations/{operationId}';
/** Once per run and account that sells the same, only where something is to be raised or brought back. */
const SALES = 'GET /order/events';
const REPORT = 'GET /sale/offer-quantity-change-commands/{commandId}';

/** Requests for the changes themselves: without the reading of all offers and of sales, and without asking whether it is done. */
function requestsForChanges({ requests, requestsByRoute }: SimulatorReport): number {
  return [LISTING, SALES, POLL].reduce((left, route) => left - (requestsByRoute[route] ?? 0), requests);
}

async function syncAndCount(): Promise<{ done: Record<string, number>; report: SimulatorReport }> {
  const { account } = await running.sync();
  return { done: filled(account('shop-1')), report: await running.application.admin.report() };
}

describe('what a run costs', () => {
  test('an unchanged offer: at most 0.0015 requests', async () => {
    const { done, report } = await syncAndCount();
    expect(done).toEqual({ in_sync: 2980 });
    expect(report.requests).toBeGreaterThan(0);
    expect(report.requests / 2980).toBeLessThanOrEqual(0.0015);
  });

  test('an offer that gets a number of its own: at most 1.1 requests', async () => {
    await running.importStock(
      stockOf(
        'DIFF',
        DIFFERENT.map((number) => number + 200),
      ),
    );
    const { done, report } = await syncAndCount();
    expect(done).toMatchObject({ raised: 40 });
    expect(report.requestsByRoute[SALES]).toBe(1);
    expect(requestsForChanges(report) / 40).toBeLessThanOrEqual(1.1);
  });

  test('an ending: at most 3 requests and the polls', async () => {
    await running.importStock(stockOf('GONE', times(15, 0)));
    const { done, report } = await syncAndCount();
    expect(done).toMatchObject({ ended: 15 });
    expect(report.requestsByRoute[SALES] ?? 0).toBe(0);
    expect(requestsForChanges(report) / 15).toBeLessThanOrEqual(3);
  });

  test('a return: at most 3 requests and the polls', async () => {
    await running.importStock(stockOf('GONE', times(15, 4)));
    const { done, report } = await syncAndCount();
    expect(done).toMatchObject({ reactivated: 15 });
    expect(report.requestsByRoute[SALES]).toBe(1);
    expect(requestsForChanges(report) / 15).toBeLessThanOrEqual(3);
  });

  test('25 offers that get one number: at most 5 requests for all of them', async () => {
    await running.importStock(stockOf('MANY', times(25, 17)));
    const { done, report } = await syncAndCount();
    expect(done).toMatchObject({ lowered: 25 });
    expect(requestsForChanges(report)).toBeLessThanOrEqual(5);
    expect(report.requestsByRoute[REPORT]).toBeGreaterThan(0);
    expect(report.harmfulWrites.total).toBe(0);
  });

  test('a sync of two SKUs: one request to find their offers', async () => {
    await running.importStock({ 'DIFF-001': 7, 'DIFF-002': 8 });
    const { account } = await running.sync('--sku', 'DIFF-001', '--sku', 'DIFF-002');
    const report = await running.application.admin.report();
    expect(filled(account('shop-1'))).toEqual({ lowered: 2 });
    expect(report.requestsByRoute[LISTING]).toBe(1);
    expect(report.clientMistakes).toEqual({});
  });
});
