import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
import { setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

const REST = Array.from({ length: 60 }, (_, index) => `REST-${index}`);

/** A shop that sells 8 of 68 SKUs, in sync, with a full stock table. */
async function shopInSync() {
  await under.db.deleteFrom('stockLevels').execute();
  const shop = await under.shop();
  const skus = Array.from({ length: 8 }, () => shop.sku());
  await setAll([...skus, ...REST], 10);
  await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
  expect(await sync(shop)).toMatchObject({ outcome: 'in_sync' });
  return { shop, skus };
}

function setAll(skus: readonly string[], pieces: number): Promise<void> {
  return stock(under, Object.fromEntries(skus.map((sku) => [sku, pieces])));
}

async function sync(shop: Shop) {
  const runId = await shop.open();
  return { ...(await driveSync(under.act, { accountId: shop.accountId, runId })), runId };
}

test('an emptied stock table holds even the few endings that would be allowed, until it is filled again', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(REST, 0);
  await setAll(skus.slice(0, 2), 0);
  await setAll(skus.slice(2, 3), 4);

  const first = await sync(shop);
  const second = await sync(shop);

  expect(first.buckets).toMatchObject({ held: 2, ended: 0, lowered: 1, in_sync: 5 });
  expect(first.held).toEqual({ guard: 2 });
  expect(second.buckets).toMatchObject({ held: 2, in_sync: 6 });
  const { details } = await under.db
    .selectFrom('incidents')
    .select('details')
    .where('accountId', '=', shop.accountId)
    .executeTakeFirstOrThrow();
  expect(details['details']).toBe(
    'would end 2 offers while the stock has 6 of 68 rows with pieces; at the last complete run it had 68 of 68',
  );

  await setAll(REST, 10);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 2, held: 0 });
});

test('a person who lets the endings through has accepted the stock as it is', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(REST, 0);
  await setAll(skus.slice(0, 2), 0);
  const held = await sync(shop);

  expect(await approveHeldChanges(under.db, shop.accountId, held.runId)).toBe(2);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 2, held: 0 });

  await setAll(skus.slice(2, 3), 0);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 1, held: 0 });
});

test('rows that are deleted conclude nothing about their offers, and hold the endings of others', async () => {
  const { shop, skus } = await shopInSync();
  await sql`delete from stock_levels where sku like 'REST-%' or sku = ${skus[0] ?? ''}`.execute(under.db);
  await setAll(skus.slice(1, 2), 0);

  const result = await sync(shop);

  expect(result.buckets).toMatchObject({ skipped: 1, held: 1, ended: 0, in_sync: 6 });
  expect(result.skipped).toEqual({ unknown_sku: 1 });
});

test('an ordinary day, on which some SKUs sell out, holds nothing', async () => {
  const { shop, skus } = await shopInSync();
  await setAll([...REST.slice(0, 8), ...skus.slice(0, 3)], 0);

  expect((await sync(shop)).buckets).toMatchObject({ ended: 3, held: 0 });
});

test('stock that is emptied after the guard has looked ends no more than is allowed at once', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 1), 7);
  await setAll(REST, 0);
  const runId = await shop.scanned();
  await under.act.checkGuards({ runId });
  const { phases } = await under.act.planWrites({ runId });
  await setAll(skus.slice(0, 1), 0);

  await under.act.updateOfferBatch({ runId, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' });

  const { state, reason } = await under.db
    .selectFrom('offerChanges')
    .select(['state', 'reason'])
    .where('runId', '=', runId)
    .executeTakeFirstOrThrow();
  expect({ state, reason }).toEqual({ state: 'held', reason: 'guard' });
});
