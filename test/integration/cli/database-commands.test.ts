import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { z } from 'zod';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { openIncident } from '../../../src/storage/incidents.js';
import { listStock, setStock } from '../../../src/storage/stock.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { runClient, type Ran } from './client-under-test.js';

let database: TestDatabase;
let db: Db;
let directory: string;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'database-commands test' });
  directory = await mkdtemp(join(tmpdir(), 'cli-test-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await db.deleteFrom('accounts').execute();
  await db.deleteFrom('stockLevels').execute();
});

function client(...args: string[]): Promise<Ran> {
  return runClient({ DATABASE_URL: database.url }, args);
}

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await client(...args);
  if (ran.status !== 0) throw new Error(`${args.join(' ')} ended with ${ran.status}: ${ran.stderr}`);
  return ran;
}

async function stockNumbers(): Promise<[string, number][]> {
  return (await listStock(db, { limit: 1_000 })).records.map(({ sku, quantity }) => [sku, quantity]);
}

async function stockFile(content: string): Promise<string> {
  const path = join(directory, `${randomUUID()}.csv`);
  await writeFile(path, content);
  return path;
}

describe('accounts', () => {
  test('are added, listed, changed, paused and resumed', async () => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    await succeed(
      'accounts',
      'set',
      'shop-1',
      '--mode',
      'live',
      '--buffer',
      '2',
      '--max',
      '50',
      '--raise',
      'off',
      '--at-zero',
      'one',
    );
    expect((await succeed('accounts', 'show', 'shop-1', '--json')).json()).toMatchObject({
      accountId: 'shop-1',
      name: 'Tea House',
      mode: 'live',
      buffer: 2,
      max: 50,
      raise: false,
      lower: true,
      atZero: 'one',
    });
    await succeed('accounts', 'set', 'shop-1', '--max', 'none');
    await succeed('accounts', 'pause', 'shop-1', '--reason', 'moving');
    const list = await succeed('accounts', 'list');
    expect(list.stdout).toContain('paused: moving');
    await succeed('accounts', 'resume', 'shop-1');
    expect((await succeed('accounts', 'show', 'shop-1', '--json')).json()).toMatchObject({
      pausedReason: null,
      max: null,
    });
  });

  test.each([
    [['accounts', 'add', 'shop-1', '--name', 'Again'], '<id>: there is an account "shop-1" already'],
    [['accounts', 'add', 'Shop 1', '--name', 'x'], '<id>: expected 1 to 64'],
    [['accounts', 'add', 'shop-2'], '--name: is required'],
    [['accounts', 'show', 'nobody'], '<id>: unknown account "nobody"'],
    [['accounts', 'pause', 'nobody', '--reason', 'x'], '<id>: unknown account "nobody"'],
    [['accounts', 'pause', 'shop-1'], '--reason: is required'],
    [['accounts', 'set', 'shop-1'], 'name at least one setting'],
    [['accounts', 'set', 'shop-1', '--mode', 'on'], '--mode: expected preview or live'],
    [['accounts', 'set', 'shop-1', '--buffer', '-1'], '--buffer: "-1": expected a whole number from 0'],
    [['accounts', 'set', 'shop-1', '--buffer', '1.5'], '--buffer: "1.5": expected a whole number'],
    [['accounts', 'set', 'shop-1', '--max', '0'], '--max: expected "none" or a whole number from 1'],
    [['accounts', 'set', 'shop-1', '--at-zero', 'sell'], '--at-zero: expected end or one or keep'],
    [['accounts', 'set', 'shop-1', '--raise', 'yes'], '--raise: expected on or off'],
    [['accounts', 'approve', 'shop-1', '--run', 'latest'], '--run: expected the id of a run'],
    [['accounts', 'approve', 'shop-1', '--run', randomUUID()], '--run: account "shop-1" has no run'],
    [['accounts', 'frob'], "unknown command 'frob'"],
    [['accounts', 'show'], "missing required argument 'id'"],
    [['accounts', 'show', 'a', 'b'], 'too many arguments'],
  ])('refuse %j as wrong usage, naming the argument', async (args, message) => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    const before = (await succeed('accounts', 'list', '--json')).stdout;
    const ran = await client(...args);
    expect(ran.status).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain(message);
    expect((await succeed('accounts', 'list', '--json')).stdout).toBe(before);
  });

  test('let the held changes of a run through', async () => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    const [runId, groupId] = [randomUUID(), randomUUID()];
    await sql`
      insert into sync_runs (id, account_id, group_id, workflow_id, execution_id, trigger, mode, fence)
      values (${runId}, 'shop-1', ${groupId}, 'w', ${runId}, 'manual', 'live', 1)`.execute(db);
    const nothing = await client('accounts', 'approve', 'shop-1', '--run', runId);
    expect(nothing).toMatchObject({ status: 1, stdout: '' });
    await sql`
      insert into offer_changes (run_id, offer_id, account_id, sku, kind, state, reason, value_before, status_before, target)
      values (${runId}, '1', 'shop-1', 'TEA', 'end', 'held', 'guard', 5, 'ACTIVE', 0)`.execute(db);
    const ran = await succeed('accounts', 'approve', 'shop-1', '--run', groupId);
    expect(ran.stdout).toContain('1 held change is approved for 24 hours');
    const changes = await succeed('changes', '--run', groupId);
    expect(changes.stdout).toMatch(/shop-1 +1 +TEA +held +5 → 0 end +0 +guard/);
  });
});

describe('stock', () => {
  test('is imported from a file with BOM, semicolons and CRLF', async () => {
    const file = await stockFile('\uFEFFsku;quantity\r\nA;1\r\nB;2\r\n');
    expect((await succeed('stock', 'import', file)).stdout).toBe('2 rows read: 2 added, 0 changed, 0 unchanged.\n');
    expect(await stockNumbers()).toEqual([
      ['A', 1],
      ['B', 2],
    ]);
  });

  test('is not changed by a file with any bad row; all bad rows are listed', async () => {
    await setStock(db, { sku: 'A', warehouse: 'main', quantity: 9 });
    const file = await stockFile('sku,quantity\nA,1\nB,-1\nC,1.5\nD,\nE,1000000000\nF,1\nF,2\n,1\n');
    const ran = await client('stock', 'import', file);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('6 problems in the file:');
    for (const line of [3, 4, 5, 6, 8, 9]) expect(ran.stderr).toContain(`line ${line}, `);
    expect(ran.stderr).toContain('nothing is written');
    expect(await stockNumbers()).toEqual([['A', 9]]);
  });

  test('takes the good rows of such a file with --skip-bad-rows, and ends with 1', async () => {
    const file = await stockFile('sku,quantity\nA,1\nB,-1\nF,1\nF,2\n');
    const ran = await client('stock', 'import', file, '--skip-bad-rows', '--json');
    expect(ran.status).toBe(1);
    expect(ran.json()).toMatchObject({ isWritten: true, rows: 4, added: 1 });
    expect(await stockNumbers()).toEqual([['A', 1]]);
  });

  test('lists at most 50 bad rows as text, and all of them as JSON', async () => {
    const file = await stockFile(`sku,quantity\n${Array.from({ length: 70 }, (_, row) => `A${row},x`).join('\n')}\n`);
    expect((await client('stock', 'import', file)).stderr).toContain('… and 20 more');
    const json = z.object({ isWritten: z.literal(false), badRows: z.array(z.unknown()) });
    expect(json.parse((await client('stock', 'import', file, '--json')).json()).badRows).toHaveLength(70);
  });

  test('goes to 0 where a complete file does not have it, except where a bad row leaves it open', async () => {
    for (const sku of ['A', 'B', 'C']) await setStock(db, { sku, warehouse: 'main', quantity: 5 });
    await setStock(db, { sku: 'C', warehouse: 'north', quantity: 5 });
    const file = await stockFile('sku,quantity\nA,1\nB,many\n');
    await client('stock', 'import', file, '--complete', '--skip-bad-rows');
    expect(await stockNumbers()).toEqual([
      ['A', 1],
      ['B', 5],
      ['C', 0],
      ['C', 5],
    ]);
  });

  test.each([
    ['has no rows', 'sku,quantity\n', [], 'the file has no rows'],
    ['has bad rows without a SKU', 'sku,quantity\nA,1\n,2\n', ['--skip-bad-rows'], 'do not tell which SKU they mean'],
  ])('is left as it is by a complete file that %s', async (_name, content, options, message) => {
    await setStock(db, { sku: 'Z', warehouse: 'main', quantity: 5 });
    const ran = await client('stock', 'import', await stockFile(content), '--complete', ...options);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain(message);
    expect(await stockNumbers()).toEqual([['Z', 5]]);
  });

  test.each([
    ['a wrong header', 'id,stock\nA,1\n', [], 1, 'missing: sku, quantity; unknown: "id", "stock"'],
    [
      'two answers to which warehouse',
      'sku,quantity,warehouse\nA,1,x\n',
      ['--warehouse', 'y'],
      2,
      '--warehouse: the file has a column',
    ],
    ['a warehouse without a name', 'sku,quantity\nA,1\n', ['--warehouse', ' '], 2, '--warehouse: is empty'],
  ])('is not imported with %s', async (_name, content, options, status, message) => {
    const ran = await client('stock', 'import', await stockFile(content), ...options);
    expect(ran.status).toBe(status);
    expect(ran.stderr).toContain(message);
    expect(await stockNumbers()).toEqual([]);
  });

  test('is set, read and listed by SKU', async () => {
    expect((await succeed('stock', 'set', ' TEA ', '25')).stdout).toBe('TEA in main: 25 (new).\n');
    expect((await succeed('stock', 'set', 'TEA', '0', '--warehouse', 'north')).stdout).toBe('TEA in north: 0 (new).\n');
    expect((await succeed('stock', 'set', 'TEA', '24')).stdout).toBe('TEA in main: 24 (was 25).\n');
    expect((await succeed('stock', 'get', 'TEA', '--json')).json()).toMatchObject({ sku: 'TEA', quantity: 24 });
    expect((await succeed('stock', 'list', '--limit', '1')).stdout).toContain('1 of 2 rows');
  });

  test.each([
    [['stock', 'set', 'TEA', '-1'], '<quantity>: "-1" is negative'],
    [['stock', 'set', 'TEA', '1.5'], '<quantity>: "1.5" is not a whole number'],
    [['stock', 'set', 'TEA', '1000000000'], 'is over the highest'],
    [['stock', 'set', ' ', '1'], '<sku>: is empty'],
    [['stock', 'get', 'TEA'], '<sku>: "TEA" is not in the local stock'],
    [['stock', 'list', '--limit', '0'], '--limit: "0": expected a whole number from 1'],
    [['stock', 'import', '/nowhere/stock.csv'], '<file>: ENOENT'],
  ])('refuses %j', async (args, message) => {
    const ran = await client(...args);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(message);
    expect(await stockNumbers()).toEqual([]);
  });
});

describe('the stop switch', () => {
  test('stops and starts all writes', async () => {
    expect((await succeed('stop', '--reason', 'wrong file', '--json')).json()).toMatchObject({
      isStopped: true,
      reason: 'wrong file',
    });
    expect((await succeed('stop')).stdout).toContain('stopped already');
    expect((await succeed('start', '--json')).json()).toMatchObject({ isStopped: false, reason: null });
    expect((await succeed('start')).stdout).toContain('were not stopped');
  });
});

describe('offers', () => {
  test('are excluded and included', async () => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    const excluded = await succeed('offers', 'exclude', '768', '--account', 'shop-1', '--reason', 'by hand');
    expect(excluded.stderr).toContain('no run has seen an offer 768');
    await succeed('offers', 'include', '768', '--account', 'shop-1');
    const again = await client('offers', 'include', '768', '--account', 'shop-1');
    expect(again).toMatchObject({ status: 2, stdout: '' });
  });

  test.each([
    [['offers', 'exclude', '768'], '--account: is required'],
    [['offers', 'exclude', '768', '--account', 'nobody'], '--account: unknown account "nobody"'],
    [['offers', 'exclude', 'a b', '--account', 'nobody'], '<offer-id>: expected the offer number'],
    [['changes', '--run', randomUUID()], '--run: unknown run'],
    [['changes', '--run', randomUUID(), '--csv', '--json'], 'name --csv or --json, not both'],
    [['changes', '--run', randomUUID(), '--bucket', 'lost'], '--bucket: expected skipped or in_sync'],
    [['history', 'nothing'], '<offer-or-sku>: "nothing" is no offer'],
    [['incidents', 'show', '999'], '<number>: there is no incident 999'],
    [['incidents', 'resolve', 'x'], '<number>: expected the number'],
  ])('refuse %j', async (args, message) => {
    const ran = await client(...args);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(message);
  });
});

describe('changes', () => {
  test('are CSV that a spreadsheet cannot be made to run', async () => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    const runId = randomUUID();
    await sql`
      insert into sync_runs (id, account_id, group_id, workflow_id, execution_id, trigger, mode, fence)
      values (${runId}, 'shop-1', ${runId}, 'w', ${runId}, 'manual', 'live', 1)`.execute(db);
    await sql`
      insert into offer_changes (run_id, offer_id, account_id, sku, kind, state, value_before, status_before, target,
        value_sent, attempts, error_class, error_message)
      values (${runId}, '1', 'shop-1', '=1+1', 'lower', 'rejected', 5, 'ACTIVE', 2, 2, 1, 'OfferRejected', 'a "quoted", text')`.execute(
      db,
    );
    const { stdout } = await succeed('changes', '--run', runId, '--csv');
    const [header, row] = stdout.split('\n');
    expect(header).toMatch(/^accountId,runId,offerId,sku,name,bucket,reason/);
    expect(row).toContain(`shop-1,${runId},1,'=1+1,,failed,OfferRejected,lower,5,2,2,1,,"a ""quoted"", text"`);
    expect((await succeed('history', '=1+1')).stdout).toContain('OfferRejected: a "quoted", text');
    await sql`update offer_changes set sent_before = '{4,3}' where run_id = ${runId}`.execute(db);
    expect((await succeed('history', '1')).stdout).toContain('5 → 2 (sent 4, then 3, then 2) lower');
    expect((await succeed('changes', '--run', runId, '--bucket', 'held')).stdout).toBe('No such offers in this run.\n');
  });
});

describe('incidents', () => {
  test('are listed while they are open, shown, and resolved once', async () => {
    await succeed('accounts', 'add', 'shop-1', '--name', 'Tea House');
    const { id } = await openIncident(db, {
      accountId: 'shop-1',
      class: 'TokenRevoked',
      title: 'The login of shop-1 has ended',
      details: { hint: 'log in again' },
    });
    const open = await client('incidents');
    expect(open.status).toBe(1);
    expect(open.stdout).toContain('The login of shop-1 has ended');
    expect((await client('incidents', '--json')).json()).toMatchObject([{ id, class: 'TokenRevoked' }]);
    expect((await succeed('incidents', 'show', id)).stdout).toMatch(/hint +log in again/);
    await succeed('incidents', 'resolve', id);
    expect((await client('incidents', 'resolve', id)).status).toBe(1);
    expect((await succeed('incidents')).stdout).toBe('No open incidents.\n');
    expect((await succeed('incidents', 'list', '--all')).stdout).toContain('resolved');
  });
});
