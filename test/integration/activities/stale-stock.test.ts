import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { changeOf, setUpActivities, stock, SYNC, type ActivitiesUnderTest } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;
let act: ActivitiesUnderTest['act'];

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
  act = under.with({ sync: { ...SYNC, stockMaxAgeSeconds: 3600 } });
});
afterAll(() => under.close());

/** Past the trigger that keeps `updated_at`. */
async function ageStock(sku: string, seconds: number): Promise<void> {
  await under.db.transaction().execute(async (trx) => {
    await sql`set local session_replication_role = replica`.execute(trx);
    await sql`update stock_levels set updated_at = clock_timestamp() - make_interval(secs => ${seconds})
      where sku = ${sku}`.execute(trx);
  });
}

test('stock older than STOCK_MAX_AGE lowers and ends, but raises nothing until its row changes', async () => {
  const shop = await under.shop();
  const [up, down, out] = [shop.sku(), shop.sku(), shop.sku()];
  await stock(under, { [up]: 9, [down]: 2, [out]: 0 });
  await shop.offers([up, down, out].map((externalId) => ({ externalId, available: 5 })));
  for (const sku of [up, down, out]) await ageStock(sku, 3700);

  const old = await driveSync(act, { accountId: shop.accountId, runId: await shop.open() });
  expect(old).toMatchObject({ outcome: 'problems', held: { stale_stock: 1 } });
  expect(old.buckets).toMatchObject({ held: 1, lowered: 1, ended: 1, raised: 0 });

  await stock(under, { [up]: 8 });
  const fresh = await driveSync(act, { accountId: shop.accountId, runId: await shop.open() });
  expect(fresh).toMatchObject({ outcome: 'in_sync' });
  expect(fresh.buckets).toMatchObject({ raised: 1 });
});

test('stock that has become too old since it was planned raises nothing either', async () => {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 9 });
  const offerId = await shop.offer({ externalId: sku, available: 5 });
  const runId = await shop.scanned();
  const { phases } = await act.planWrites({ runId });
  await ageStock(sku, 3700);

  await act.updateOfferBatch({ runId, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' });

  expect(await changeOf(under.db, runId, offerId)).toMatchObject({
    state: 'held',
    reason: 'stale_stock',
    valueSent: null,
  });
});
