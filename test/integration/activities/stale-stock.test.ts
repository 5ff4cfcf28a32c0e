import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { toCommandId } from '../../../src/domain/ids.js';
import {
  changeOf,
  setUpActivities,
  stock,
  SYNC,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
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

async function told({ accountId }: Shop): Promise<Record<string, unknown>[]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message).filter((message) => message['accountId'] === accountId);
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

  const again = await driveSync(act, { accountId: shop.accountId, runId: await shop.open() });
  expect(again).toMatchObject({ held: { stale_stock: 1 } });
  expect(await told(shop)).toEqual([expect.objectContaining({ class: 'StaleStock' })]);

  await stock(under, { [up]: 8 });
  const fresh = await driveSync(act, { accountId: shop.accountId, runId: await shop.open() });
  expect(fresh).toMatchObject({ outcome: 'in_sync' });
  expect(fresh.buckets).toMatchObject({ raised: 1 });
  expect(await told(shop)).toEqual([
    expect.objectContaining({ class: 'StaleStock', details: expect.stringMatching(`^1 raises .*${up} \\(20`) }),
    expect.objectContaining({ kind: 'resolved' }),
  ]);
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

test('a command that was planned before its stock became too old carries none of it', async () => {
  const shop = await under.shop();
  const skus = Array.from({ length: 8 }, () => shop.sku());
  await stock(under, Object.fromEntries(skus.map((sku) => [sku, 9])));
  const [old, ...fresh] = await shop.offers(skus.map((externalId) => ({ externalId, available: 5 })));
  if (old === undefined) throw new Error('no offer');
  const runId = await shop.scanned();
  const { phases } = await act.planWrites({ runId });
  const commandId = toCommandId(phases[0]?.commandIds[0] ?? '');
  await ageStock(skus[0] ?? '', 3700);

  expect(await act.submitCommand({ runId, commandId, priority: 'scheduled' })).toMatchObject({ isSent: true });

  expect(await changeOf(under.db, runId, old)).toMatchObject({ state: 'held', reason: 'stale_stock', valueSent: null });
  const { offerIds } = await under.db
    .selectFrom('commands')
    .select('offerIds')
    .where('id', '=', commandId)
    .executeTakeFirstOrThrow();
  expect([...offerIds].sort()).toEqual([...fresh].sort());
});
