import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { setStock } from '../../../src/storage/stock.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, plannedChanges } from '../storage/a-run.js';
import { runClient } from './client-under-test.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'history test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function history(...args: string[]) {
  const { status, stdout } = await runClient({ DATABASE_URL: database.url }, ['history', ...args]);
  expect(status).toBe(0);
  return stdout;
}

test('of an offer whose changes were deleted says that nothing is on record, and how the offer was seen last', async () => {
  const run = await anAccountWithRun(db);
  const [offerId = ''] = await plannedChanges(db, run, [
    { kind: 'reactivate', target: 3, state: 'superseded', reason: 'skipped:ended_by_other' },
  ]);
  await db.updateTable('offers').set({ bucket: 'skipped', reason: 'ended_by_other' }).execute();
  expect(await history(offerId)).toContain('reactivate');
  await db.deleteFrom('offerChanges').execute();

  for (const asked of [[offerId], ['SKU-0'], [offerId, '--account', run.accountId]]) {
    const text = await history(...asked);
    expect(text).toMatch(/^Nothing is on record: .*HISTORY_RETENTION_DAYS/);
    expect(text).toMatch(new RegExp(`${run.accountId} +${offerId} +SKU-0 +skipped +0 +ended_by_other\n`));
  }
  const other = await anAccountWithRun(db);
  expect(await history(offerId, '--account', other.accountId)).not.toContain('ended_by_other');
  expect(JSON.parse(await history(offerId, '--json'))).toEqual([]);
});

test('of a SKU that only the stock has is one sentence', async () => {
  await setStock(db, { sku: 'ONLY-STOCK', warehouse: 'main', quantity: 1 });

  expect((await history('ONLY-STOCK')).trim().split('\n')).toHaveLength(1);
});
