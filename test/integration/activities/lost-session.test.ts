import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { reportLoginPauses } from '../../../src/activities/report-run.js';
import { readAccount } from '../../../src/storage/accounts.js';
import { listIncidents } from '../../../src/storage/incidents.js';
import type { AccountResult } from '../../../src/workflows/api.js';
import { setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

/** Allegro keeps 20 sessions of a user, those in a browser among them: the 21st login ends the oldest. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({ operationDelayMs: 1 });
});
afterAll(() => under.close());

const MOST_SESSIONS = 20;

async function ran(shop: Shop): Promise<AccountResult> {
  return driveSync(under.act, { accountId: shop.accountId, runId: await shop.open() });
}

async function loginsElsewhere({ seller }: Shop, count: number): Promise<void> {
  for (let login = 1; login <= count; login += 1) await under.allegro.admin.issueTokens({ sellerId: seller });
}

async function messagesOf({ accountId }: Shop) {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message).filter((message) => message['accountId'] === accountId);
}

test('the account whose session was dropped by the 21st login is paused, told once, and goes on after a new login', async () => {
  const [shop, other] = [await under.shop(), await under.shop()];
  const [sku, otherSku] = [shop.sku(), other.sku()];
  await stock(under, { [sku]: 5, [otherSku]: 5 });
  await shop.offer({ externalId: sku, available: 9 });
  await other.offer({ externalId: otherSku, available: 9 });
  await loginsElsewhere(shop, MOST_SESSIONS - 1);
  expect((await ran(shop)).buckets).toMatchObject({ lowered: 1 });

  await loginsElsewhere(shop, 1);
  expect(await ran(shop)).toMatchObject({ outcome: 'paused', failure: { class: 'TokenRevoked' } });
  await reportLoginPauses(under.db);
  await expect(shop.open()).rejects.toThrow('not opened');
  await reportLoginPauses(under.db);

  const account = await readAccount(under.db, shop.accountId);
  expect(account?.pausedReason).toMatch(/^login needed: /);
  const told = expect.objectContaining({
    kind: 'account_problem',
    class: 'TokenRevoked',
    title: 'The account is paused until it is logged in at Allegro',
    action: `allegro-stock-sync accounts authorize ${shop.accountId}`,
  });
  expect(await messagesOf(shop)).toEqual([told]);
  expect(await listIncidents(under.db, { accountId: shop.accountId, limit: 10 })).toHaveLength(1);
  // A session of another seller is none of these 20.
  expect((await ran(other)).buckets).toMatchObject({ lowered: 1 });

  const { store, admin } = under.allegro;
  const before = await store.read(shop.accountId);
  const pair = await admin.issueTokens({ sellerId: shop.seller });
  const accessExpiresAt = new Date(Date.now() + 12 * 3_600_000);
  await store.replace(shop.accountId, before?.generation ?? null, { ...pair, accessExpiresAt });
  expect(await ran(shop)).toMatchObject({ outcome: 'in_sync' });
  expect(await messagesOf(shop)).toEqual([told, expect.objectContaining({ kind: 'resolved' })]);
});
