import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  filled,
  runningOffers,
  SELLER,
  startUnderTest,
  stockOf,
  times,
  type ApplicationUnderTest,
} from './application-under-test.js';

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({ simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] } });
  const { application, importStock } = running;
  await application.admin.addOffers([...runningOffers('TEA', times(100, 8)), ...runningOffers('CUP', times(2, 5))]);
  await importStock({ ...stockOf('TEA', times(100, 8)), ...stockOf('CUP', times(2, 5)) });
  await application.connectAccounts('live');
  const { account } = await running.sync();
  expect(filled(account('shop-1'))).toEqual({ in_sync: 102 });
}, 120_000);
afterAll(() => running.close());

async function endedOffers(): Promise<string[]> {
  return (await running.offers()).filter(({ status }) => status === 'ENDED').map(({ externalId }) => externalId ?? '');
}

test('a sale that is not booked yet is not written over, until the stock row changes', async () => {
  const { application, json, offers, sync } = running;
  const find = async () => (await offers()).find(({ externalId }) => externalId === 'CUP-001');
  const sold = await find();
  await application.admin.sell({ offerId: sold?.id ?? '', quantity: 2, lowersTruth: true });

  const first = await sync();
  expect(first.status).toBe(1);
  expect(filled(first.account('shop-1'))).toEqual({ in_sync: 101, held: 1 });
  expect(first.account('shop-1').held).toEqual({ unbooked_sale: 1 });
  expect(await find()).toMatchObject({ available: 3 });

  await json('stock', 'set', 'CUP-001', '3');
  const booked = await sync();
  expect(booked.status).toBe(0);
  expect(filled(booked.account('shop-1'))).toEqual({ in_sync: 102 });
});

test('endings that would close a part of the shop are held and told, while the rest goes on; approval lets exactly those through', async () => {
  const { application, importStock, json } = running;
  const wrong = [...times(40, 0), ...times(60, 8)];
  await importStock({ ...stockOf('TEA', wrong), 'CUP-002': 4 });

  const held = await running.sync();
  expect(filled(held.account('shop-1'))).toEqual({ in_sync: 61, held: 40, lowered: 1 });
  expect(held.account('shop-1').held).toEqual({ guard: 40 });
  expect(await endedOffers()).toEqual([]);
  const told = application.alerts.filter(({ html }) => html.includes('held back'));
  expect(told).toHaveLength(1);
  expect(told[0]?.html).toContain('would end 40 of 102 active offers');
  expect(told[0]?.html).toContain('accounts approve shop-1 --run');

  await json('accounts', 'approve', 'shop-1', '--run', held.runId);
  // Thirty more: nobody has approved these.
  await importStock(stockOf('TEA', [...times(70, 0), ...times(30, 8)]));
  const approved = await running.sync();
  expect(filled(approved.account('shop-1'))).toEqual({ in_sync: 32, ended: 40, held: 30 });
  expect(await endedOffers()).toEqual(Object.keys(stockOf('TEA', times(40, 0))));

  const { harmfulWrites } = await application.admin.report();
  expect(harmfulWrites.total).toBe(0);
});
