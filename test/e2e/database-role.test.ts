import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { openDatabase } from '../../src/storage/database.js';
import { pendingMigrations } from '../../src/storage/migrate.js';
import { runClient } from '../integration/cli/client-under-test.js';
import {
  filled,
  runningOffers,
  SELLER,
  startUnderTest,
  stockOf,
  type ApplicationUnderTest,
} from './application-under-test.js';

const ROLE = `sync_worker_${randomBytes(4).toString('hex')}`;
const PASSWORD = randomBytes(12).toString('hex');

let running: ApplicationUnderTest;
let owner: pg.Client;
let restricted: pg.Client;
let ownerUrl: string;
let roleUrl: string;

beforeAll(async () => {
  running = await startUnderTest({
    simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] },
    async prepareDatabase(url) {
      ownerUrl = url;
      owner = new pg.Client({ connectionString: url });
      await owner.connect();
      await owner.query(`create role ${ROLE} login password '${PASSWORD}'`);
      // As in Compose: nothing comes from PUBLIC.
      await owner.query(`revoke connect, temporary on database ${new URL(url).pathname.slice(1)} from public`);
      const granted = await runClient({ DATABASE_URL: url }, ['migrate', '--grant-to', ROLE, '--json']);
      expect({ status: granted.status, json: granted.json() }).toMatchObject({ status: 0, json: { grantedTo: ROLE } });
      const address = new URL(url);
      address.username = ROLE;
      address.password = PASSWORD;
      roleUrl = address.toString();
      return roleUrl;
    },
  });
  restricted = new pg.Client({ connectionString: roleUrl });
  await restricted.connect();
}, 120_000);

afterAll(async () => {
  await restricted.end();
  await owner.query(`drop owned by ${ROLE}; drop role ${ROLE}`);
  await owner.end();
  await running.close();
});

const NO_ROLE = { status: 1, stderr: expect.stringContaining('create role') };

describe('a role that "migrate --grant-to" gave its rights', () => {
  test('is enough for worker and command line: import, login, a whole sync, reports, housekeeping', async () => {
    const { application, importStock, sync, json, temporal } = running;
    await application.admin.addOffers(runningOffers('TEA', [9, 9, 9, 9]));
    await importStock(stockOf('TEA', [0, 3, 9, 12]), '--complete');
    await application.connectAccounts('live');

    const ran = await sync('--account', 'shop-1');

    expect(filled(ran.account('shop-1'))).toEqual({ ended: 1, lowered: 1, in_sync: 1, raised: 1 });
    const users = await owner.query<{ name: string; user: string }>(
      `select application_name as name, usename as user from pg_stat_activity
       where datname = current_database() and application_name = 'allegro-stock-sync worker'`,
    );
    expect(new Set(users.rows.map(({ user }) => user))).toEqual(new Set([ROLE]));
    await json('accounts', 'set', 'shop-1', '--max', '5');
    await json('changes', '--run', ran.runId);
    await json('accounts', 'rotate-key');
    await json('accounts', 'remove', 'shop-1');
    await temporal.client.workflow.execute('housekeeping', {
      taskQueue: 'allegro-stock-sync',
      workflowId: `housekeeping-${ROLE}`,
    });
  });

  test.each([
    'create table mine (id integer)',
    'create schema mine',
    `create function mine() returns integer language sql return 1`,
    'alter table stock_levels add column mine integer',
    'alter table stock_levels disable trigger all',
    'drop table stock_levels',
    'create index mine on stock_levels (quantity)',
    'truncate stock_levels',
    `delete from kysely_migration`,
    `update kysely_migration_lock set is_locked = 1`,
  ])('cannot: %s', async (statement) => {
    // 42501, insufficient_privilege: an owner is asked for, or a right that was not given.
    await expect(restricted.query(statement)).rejects.toMatchObject({ code: '42501' });
  });

  test('may use the tables of a later migration, without being granted anew', async () => {
    await owner.query('create table later (id bigserial primary key, note text)');
    try {
      await restricted.query(`insert into later (note) values ('new')`);
      expect((await restricted.query(`update later set note = 'changed'`)).rowCount).toBe(1);
      expect((await restricted.query('delete from later')).rowCount).toBe(1);
      await expect(restricted.query('drop table later')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await owner.query('drop table later');
    }
  });

  test('may ask which migrations are missing, and "migrate" says that there is nothing to do', async () => {
    const db = openDatabase(roleUrl, { applicationName: 'database-role test' });
    try {
      expect(await pendingMigrations(db)).toEqual([]);
    } finally {
      await db.destroy();
    }
    expect(await runClient({ DATABASE_URL: roleUrl }, ['migrate'])).toMatchObject({ status: 0 });
  });

  test('cannot grant itself anything', async () => {
    const { status, stderr } = await runClient({ DATABASE_URL: roleUrl }, ['migrate', '--grant-to', ROLE]);

    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('the owner of the tables') });
  });
});

describe('migrate --grant-to', () => {
  const grant = (role: string) => runClient({ DATABASE_URL: ownerUrl }, ['migrate', '--grant-to', role]);

  test('may be repeated', async () => {
    expect(await grant(ROLE)).toMatchObject({ status: 0, stdout: expect.stringContaining('cannot change tables') });
  });

  test('says how to make a role that is not there, whatever its name', async () => {
    expect(await grant(`${ROLE}_2`)).toMatchObject(NO_ROLE);
    expect(await grant(`x"; drop table stock_levels; --`)).toMatchObject(NO_ROLE);
    expect((await owner.query('select from stock_levels limit 1')).rowCount).toBe(1);
  });

  test('refuses a role that could change tables nevertheless, and leaves it as it was', async () => {
    const { rows } = await owner.query<{ name: string }>('select current_user as name');
    expect(await grant(rows[0]?.name ?? '')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('can change tables'),
    });

    const other = `${ROLE}_creator`;
    await owner.query(`create role ${other}; grant create on schema public to ${other}`);
    try {
      expect(await grant(other)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('revoke create on schema public'),
      });
      const given = await owner.query(`select has_table_privilege('${other}', 'accounts', 'select') as may`);
      expect(given.rows).toEqual([{ may: false }]);
    } finally {
      await owner.query(`drop owned by ${other}; drop role ${other}`);
    }
  });
});
