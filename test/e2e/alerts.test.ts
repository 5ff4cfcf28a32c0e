import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  filled,
  runningOffers,
  startUnderTest,
  stockOf,
  times,
  type ApplicationUnderTest,
} from './application-under-test.js';

const FEW = '44000001';
const MANY = '44000002';
const REVOKED = '44000003';
const REFUSED = { rejection: { message: 'Missing <b>required</b> parameters', commands: true } };

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({
    simulator: { accounts: [FEW, MANY, REVOKED].map((sellerId) => ({ sellerId, offers: 0 })) },
  });
  const { application, importStock } = running;
  await application.admin.addOffers([
    ...runningOffers('FEW', times(3, 9), FEW).map((offer) => ({ ...offer, ...REFUSED })),
    ...runningOffers('MANY', times(12, 9), MANY).map((offer) => ({ ...offer, ...REFUSED })),
    ...runningOffers('FEW', times(5, 9), REVOKED),
  ]);
  await importStock({ ...stockOf('FEW', [1, 2, 30]), ...stockOf('MANY', times(12, 4)) });
  await application.connectAccounts('live');
}, 120_000);
afterAll(() => running.close());

function alertsOf(account: string): string[] {
  return running.application.alerts.map(({ html }) => html).filter((html) => html.includes(`(${account})`));
}

test('offers that cannot be corrected are told once per account: a few one by one, many as a summary', async () => {
  await running.application.admin.revokeTokens(REVOKED);
  const { status, account } = await running.sync();
  expect(status).toBe(1);
  expect(filled(account('shop-1'))).toEqual({ failed: 3 });
  expect(account('shop-2').failed).toEqual({ OfferRejected: 12 });

  const few = alertsOf('shop-1');
  expect(few).toHaveLength(1);
  for (const sku of ['FEW-001', 'FEW-002', 'FEW-003']) expect(few[0]).toContain(sku);
  expect(few[0]).toContain('Stock: 9 → 1');
  expect(few[0]).toContain('Missing &lt;b&gt;required&lt;/b&gt; parameters');
  expect(few[0]).toContain('Manual check required');

  const many = alertsOf('shop-2');
  expect(many).toHaveLength(1);
  expect(many[0]).toContain('12 offers could not be corrected');
  expect(many[0]).toContain('12 × OfferRejected');
  expect(many[0]?.match(/MANY-\d+/g)).toHaveLength(10);
});

test('an account whose token was revoked is paused, left out of further runs, and told once', async () => {
  const accounts = z
    .array(z.object({ accountId: z.string(), pausedReason: z.string().nullable() }))
    .parse(await running.json('accounts', 'list'));
  expect(accounts.find(({ accountId }) => accountId === 'shop-3')?.pausedReason).toEqual(expect.any(String));
  expect(accounts.filter(({ pausedReason }) => pausedReason === null)).toHaveLength(2);

  await running.sync();
  expect(alertsOf('shop-3')).toEqual([expect.stringContaining('allegro-stock-sync accounts authorize shop-3')]);
});

test('what was told is not told again by the next run, and its offers are left alone', async () => {
  const before = running.application.alerts.length;
  await running.application.admin.resetReport();
  const { account } = await running.sync();
  expect(account('shop-2').skipped).toEqual({ quarantined: 12 });
  expect(running.application.alerts).toHaveLength(before);
  expect(
    (await running.application.admin.report()).requestsByRoute['PATCH /sale/product-offers/{offerId}'],
  ).toBeUndefined();
});

test('one message tells that it is over', async () => {
  const { application, offers, importStock, sync } = running;
  const ofShop = (await offers()).filter(({ sellerId }) => sellerId === FEW);
  for (const { id } of ofShop) await application.admin.editOffer(id, { rejection: null });
  await importStock(stockOf('FEW', [6, 7, 31]));
  const { account } = await sync('--account', 'shop-1');
  expect(filled(account('shop-1'))).toEqual({ lowered: 2, raised: 1 });
  const [, ...further] = alertsOf('shop-1');
  expect(further).toEqual([expect.stringContaining('<b>Over</b>')]);
});
