import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import { changeAccount, pauseAccount } from '../../../src/storage/accounts.js';
import { LOGIN_NEEDED } from '../../../src/storage/token-store.js';
import { setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

/** A run with one planned write, at the moment before its batch is sent. */
async function aPlannedWrite(): Promise<{ shop: Shop; send: () => Promise<unknown> }> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 3 });
  await shop.offer({ externalId: sku, available: 5 });
  const runId = await shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  const batch = phases[0]?.batches[0] ?? 0;
  return { shop, send: () => under.act.updateOfferBatch({ runId, batch, priority: 'adhoc' }) };
}

async function failureOf(work: Promise<unknown>): Promise<{ type: unknown; message: string }> {
  const error = await work.catch((reason: unknown) => reason);
  if (!(error instanceof ApplicationFailure)) throw new Error('no failure', { cause: error });
  return { type: error.type, message: error.message };
}

async function writesTo(shop: Shop): Promise<number> {
  const { entries } = await under.allegro.admin.journal({ limit: 10_000 });
  return entries.filter((entry) => entry.sellerId === shop.seller && entry.method === 'PATCH').length;
}

test('a run whose account is paused in the middle writes nothing more, and says why', async () => {
  const { shop, send } = await aPlannedWrite();
  await pauseAccount(under.db, shop.accountId, 'stocktaking');

  expect(await failureOf(send())).toEqual({
    type: 'WritesStopped',
    message: expect.stringContaining('stocktaking'),
  });
  expect(await writesTo(shop)).toBe(0);
});

test('a run whose account is set back to preview in the middle writes nothing more', async () => {
  const { shop, send } = await aPlannedWrite();
  await changeAccount(under.db, shop.accountId, { mode: 'preview' });

  expect(await failureOf(send())).toMatchObject({ type: 'WritesStopped' });
  expect(await writesTo(shop)).toBe(0);
});

test('a run whose login was refused elsewhere ends as one that needs a login', async () => {
  const { shop, send } = await aPlannedWrite();
  await pauseAccount(under.db, shop.accountId, `${LOGIN_NEEDED}the refresh token was refused`);

  expect(await failureOf(send())).toEqual({ type: 'TokenRevoked', message: 'the refresh token was refused' });
  expect(await writesTo(shop)).toBe(0);
});

test('a run of an account that may write goes on', async () => {
  const { shop, send } = await aPlannedWrite();

  await expect(send()).resolves.toMatchObject({ settled: 1 });
  expect(await writesTo(shop)).toBe(1);
});
