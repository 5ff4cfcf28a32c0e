import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { readBackground, readStock } from '../../../src/storage/offers.js';
import { setStock } from '../../../src/storage/stock.js';
import { toOfferId, toSku, type OfferId } from '../../../src/domain/ids.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, aRunOf, plannedChanges } from './a-run.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

function aRow(offerId: OfferId) {
  return { offerId, status: 'ACTIVE', available: 10 } as const;
}

test('stock is the sum over warehouses, however large; a SKU without a row is absent', async () => {
  const sku = toSku('A');
  const none = toSku('B');
  if (sku === null || none === null) throw new Error('no SKU');
  await setStock(db, { sku: 'A', warehouse: 'main', quantity: 2_147_483_647 });
  await setStock(db, { sku: 'A', warehouse: 'second', quantity: 2_147_483_647 });

  const stock = await readStock(db, [sku, none, sku]);

  expect(stock.get(sku)?.quantity).toBe(2_147_483_647);
  expect(stock.has(none)).toBe(false);
});

test('an offer with a write of no known outcome is known as such, with the highest number it may show', async () => {
  const run = await anAccountWithRun(db);
  const [offerId] = await plannedChanges(db, run, [{ kind: 'raise', target: 20 }]);
  if (offerId === undefined) throw new Error('no offer');
  const sentAt = new Date(Date.now() - 500);
  await db
    .updateTable('offerChanges')
    .set({ state: 'sending', valueSent: 20, sentAt })
    .where('runId', '=', run.runId)
    .execute();

  const own = await readBackground(db, run, [aRow(offerId)]);
  expect(own(offerId)).toMatchObject({ isCounted: true, memory: { hasUnsettledWrite: false, unsettled: null } });

  const next = await aRunOf(db, run.accountId);
  const background = await readBackground(db, next, [aRow(offerId), aRow(toOfferId('1'))]);
  expect(background(offerId)).toMatchObject({
    isCounted: false,
    memory: { hasUnsettledWrite: true, unsettled: { value: 20, sentAt }, hasPendingCommand: false },
  });
  expect(background(toOfferId('1'))).toEqual({
    memory: null,
    isExcluded: false,
    quarantine: null,
    isCounted: false,
  });
});
