import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { findUnknownSkus, importStock, listStock, readStockRecords, setStock } from '../../../src/storage/stock.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'stock test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(() => db.deleteFrom('stockLevels').execute());

function entry(sku: string, quantity: number, warehouse = 'main') {
  return { sku, quantity, warehouse };
}

async function quantities(): Promise<Record<string, number>> {
  const { records } = await listStock(db, { limit: 100_000 });
  return Object.fromEntries(records.map(({ sku, warehouse, quantity }) => [`${sku}@${warehouse}`, quantity]));
}

describe('an import', () => {
  test('adds, changes and leaves rows, and counts them', async () => {
    await importStock(db, { entries: [entry('same', 1), entry('other', 2), entry('absent', 3)] });
    const result = await importStock(db, { entries: [entry('same', 1), entry('other', 5), entry('new', 6)] });
    expect(result).toEqual({ added: 1, changed: 1, unchanged: 1, zeroed: 0 });
    expect(await quantities()).toEqual({ 'same@main': 1, 'other@main': 5, 'new@main': 6, 'absent@main': 3 });
  });

  test('does not touch the time of rows whose number stays', async () => {
    await importStock(db, { entries: [entry('A', 1), entry('B', 1)] });
    const before = await readStockRecords(db, 'A');
    await importStock(db, { entries: [entry('A', 1), entry('B', 2)] });
    expect(await readStockRecords(db, 'A')).toEqual(before);
    expect((await readStockRecords(db, 'B'))[0]?.updatedAt.getTime()).toBeGreaterThan(
      before[0]?.updatedAt.getTime() ?? 0,
    );
  });

  test('that is complete sets what it does not have to 0, in its own warehouses only', async () => {
    await importStock(db, { entries: [entry('A', 1), entry('B', 2), entry('B', 9, 'north'), entry('Z', 0)] });
    const result = await importStock(db, {
      entries: [entry('A', 1)],
      complete: { warehouses: ['main'], unclear: [] },
    });
    expect(result).toEqual({ added: 0, changed: 0, unchanged: 1, zeroed: 1 });
    expect(await quantities()).toEqual({ 'A@main': 1, 'B@main': 0, 'B@north': 9, 'Z@main': 0 });
  });

  test('that is complete leaves SKUs whose number it does not know as they are', async () => {
    await importStock(db, { entries: [entry('A', 1), entry('B', 2), entry('C', 3)] });
    await importStock(db, {
      entries: [entry('A', 1)],
      complete: { warehouses: ['main'], unclear: [{ sku: 'B', warehouse: 'main' }] },
    });
    expect(await quantities()).toEqual({ 'A@main': 1, 'B@main': 2, 'C@main': 0 });
  });

  test('writes all of it or nothing', async () => {
    await expect(importStock(db, { entries: [entry('A', 1), entry(' not trimmed', 2)] })).rejects.toThrow();
    expect(await quantities()).toEqual({});
  });

  test('takes more rows than fit one statement', async () => {
    const entries = Array.from({ length: 60_001 }, (_, index) => entry(`SKU-${index}`, index % 7));
    expect(await importStock(db, { entries })).toEqual({ added: 60_001, changed: 0, unchanged: 0, zeroed: 0 });
    expect((await listStock(db, { limit: 1 })).totalCount).toBe(60_001);
  });

  test('at the same time as another of the same SKUs in another order ends without a deadlock', async () => {
    const entries = Array.from({ length: 2_000 }, (_, index) => entry(`SKU-${index}`, 1));
    await Promise.all([
      importStock(db, { entries }),
      importStock(db, { entries: entries.map(({ sku }) => entry(sku, 2)).reverse() }),
    ]);
    const { rows } = await sql<{ count: number }>`select count(*)::integer as count from stock_levels`.execute(db);
    expect(rows[0]?.count).toBe(2_000);
  });
});

test('setting a number tells what it replaced', async () => {
  expect(await setStock(db, entry('A', 4))).toBeNull();
  expect(await setStock(db, entry('A', 0))).toBe(4);
  expect(await quantities()).toEqual({ 'A@main': 0 });
});

test('the list has the first rows by SKU, and how many there are', async () => {
  await importStock(db, { entries: [entry('B', 1), entry('A', 1), entry('C', 1, 'north')] });
  const { records, totalCount } = await listStock(db, { limit: 2 });
  expect(records.map(({ sku }) => sku)).toEqual(['A', 'B']);
  expect(totalCount).toBe(3);
  expect((await listStock(db, { limit: 10, warehouse: 'north' })).records).toHaveLength(1);
});

test('an unknown SKU is one that neither the stock nor an offer has', async () => {
  await setStock(db, entry('in-stock', 1));
  await sql`insert into accounts (id, name) values ('shop', 'Shop') on conflict do nothing`.execute(db);
  await sql`
    insert into offers (account_id, offer_id, sku, name, format, status, available, sold, is_fulfillment,
      known_available, known_at, bucket, seen_at)
    values ('shop', '1', 'in-offer', 'Tea', 'BUY_NOW', 'ACTIVE', 1, 0, false, 1, now(), 'skipped', now())`.execute(db);
  expect(await findUnknownSkus(db, ['in-stock', 'in-offer', 'nowhere'])).toEqual(['nowhere']);
});
