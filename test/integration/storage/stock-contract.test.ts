import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { readStock } from '../../../src/storage/offers.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { toSku } from '../../../src/domain/ids.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

/** The statements of docs/stock.md, run as they stand there. */

const ROLE = `warehouse_${randomBytes(4).toString('hex')}`;

let database: TestDatabase;
let db: Db;
let owner: pg.Client;
let statements: Map<string, string>;

beforeAll(async () => {
  const text = await readFile(fileURLToPath(new URL('../../../docs/stock.md', import.meta.url)), 'utf8');
  statements = new Map(
    [...text.matchAll(/```sql\n-- (.+)\n([\s\S]+?)```/g)].map(([, name = '', sql = '']) => [
      name,
      sql.replaceAll('warehouse_system', ROLE),
    ]),
  );
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'stock-contract test' });
  owner = new pg.Client({ connectionString: database.url });
  await owner.connect();
});
afterAll(async () => {
  await owner.query(`drop owned by ${ROLE}; drop role ${ROLE}`);
  await owner.end();
  await db.destroy();
  await database.drop();
});

function statement(name: string): string {
  const found = statements.get(name);
  if (found === undefined) throw new Error(`docs/stock.md has no statement "${name}"`);
  return found;
}

async function stockOf(sku: string): Promise<{ quantity: number; updatedAt: Date } | undefined> {
  const known = toSku(sku);
  return known === null ? undefined : (await readStock(db, [known])).get(known);
}

describe('the statements of docs/stock.md', () => {
  test('write new and known rows, and leave the time of a number that stays', async () => {
    await owner.query(statement('upsert'));
    const first = await stockOf('TEA-100');
    expect(first?.quantity).toBe(25);
    await owner.query(statement('upsert'));
    expect(await stockOf('TEA-100')).toEqual(first);
    await owner.query(statement('upsert of many rows'));
    expect((await stockOf('TEA-100'))?.quantity).toBe(24);
    expect((await stockOf('TEA-200'))?.quantity).toBe(0);
  });

  test('make a role that can write stock, cannot lie about the time, and can do nothing else', async () => {
    await owner.query(statement('role'));
    const url = new URL(database.url);
    url.username = ROLE;
    url.password = 'choose-one';
    const warehouse = new pg.Client({ connectionString: url.toString() });
    await warehouse.connect();
    try {
      await warehouse.query(statement('upsert'));
      await warehouse.query(statement('upsert of many rows'));
      await warehouse.query(`insert into stock_levels (sku, quantity, updated_at) values ('LIE', 1, '2001-01-01')`);
      expect((await stockOf('LIE'))?.updatedAt.getFullYear()).toBeGreaterThan(2020);
      for (const refused of [
        `update stock_levels set updated_at = now()`,
        `delete from stock_levels`,
        `select * from account_tokens`,
        `update accounts set mode = 'live'`,
      ]) {
        await expect(warehouse.query(refused)).rejects.toThrow('permission denied');
      }
    } finally {
      await warehouse.end();
    }
  });

  test('copy a table of another shape, what is gone there going to 0', async () => {
    await owner.query(`create table erp_items (code text, on_hand integer, changed_at timestamptz default now())`);
    await owner.query(`insert into erp_items values (' X ', 5), ('Y', -2), ('', 3)`);
    await owner.query(
      `insert into stock_levels (sku, warehouse, quantity) values ('GONE', 'erp', 4), ('OTHER', 'main', 4)`,
    );
    await owner.query(statement('copy'));
    expect((await stockOf('X'))?.quantity).toBe(5);
    expect((await stockOf('Y'))?.quantity).toBe(0);
    expect((await stockOf('GONE'))?.quantity).toBe(0);
    expect((await stockOf('OTHER'))?.quantity).toBe(4);
  });

  test('put a view in place of the table', async () => {
    await owner.query(statement('view'));
    expect((await stockOf('X'))?.quantity).toBe(5);
    expect(await stockOf('OTHER')).toBeUndefined();
    const back = /`(drop view stock_levels; alter table[\s\S]+?;)`/.exec(
      await readFile(fileURLToPath(new URL('../../../docs/stock.md', import.meta.url)), 'utf8'),
    )?.[1];
    await owner.query(back ?? '');
    expect((await stockOf('OTHER'))?.quantity).toBe(4);
  });
});

test.each([
  ['a SKU with outer white space', `(' TEA', 'main', 1)`],
  ['an empty SKU', `('', 'main', 1)`],
  ['an empty warehouse', `('TEA', '', 1)`],
  ['a negative number', `('TEA', 'main', -1)`],
])('the table refuses %s, whoever writes it', async (_name, values) => {
  await expect(owner.query(`insert into stock_levels (sku, warehouse, quantity) values ${values}`)).rejects.toThrow(
    'violates check constraint',
  );
});
