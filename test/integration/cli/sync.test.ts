import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { z } from 'zod';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount, readAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { setStock } from '../../../src/storage/stock.js';
import { BUCKETS } from '../../../src/domain/buckets.js';
import { SYNC_ALL_ACCOUNTS_ID, syncAccountId, TASK_QUEUE } from '../../../src/workflows/api.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { runClient, type Ran, type RunOptions } from './client-under-test.js';
import { createNamespace, until, type TestNamespace } from './temporal-namespace.js';

const ACCOUNTS = ['shop', 'slow', 'failing', 'broken'];

let temporal: TestNamespace;
let database: TestDatabase;
let db: Db;
let connection: NativeConnection;
let worker: Worker;
let working: Promise<void>;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  temporal = await createNamespace();
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'sync test' });
  for (const id of ACCOUNTS) await addAccount(db, { accountId: toAccountId(id), name: `Name of ${id}` });
  await setStock(db, { sku: 'TEA', warehouse: 'main', quantity: 1 });
  connection = await NativeConnection.connect({ address: temporal.address });
  worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: TASK_QUEUE,
    workflowsPath: fileURLToPath(new URL('./scripted-workflows/index.ts', import.meta.url)),
  });
  working = worker.run();
});
afterAll(async () => {
  worker.shutdown();
  await working;
  await connection.close();
  await temporal.close();
  await db.destroy();
  await database.drop();
});
afterEach(async () => {
  for (const id of [SYNC_ALL_ACCOUNTS_ID, ...ACCOUNTS.map(syncAccountId)]) {
    await temporal.client.workflow
      .getHandle(id)
      .terminate()
      .catch(() => undefined);
  }
});

function sync(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runClient({ ...temporal.env, DATABASE_URL: database.url }, ['sync', ...args], options);
}

function run(accountId: string) {
  return temporal.client.workflow.getHandle(syncAccountId(accountId));
}

/** Once the command says something like it on stderr. */
function whenSaid(
  pattern: RegExp,
  act: () => Promise<void>,
): { onStderr: (text: string) => void; acted: () => Promise<void> } {
  let acting: Promise<void> | undefined;
  return {
    onStderr: (text) => {
      if (pattern.test(text)) acting ??= act();
    },
    acted: () => acting ?? Promise.reject(new Error(`never said: ${pattern.source}`)),
  };
}

const reportSchema = z.strictObject({
  runId: z.string(),
  outcome: z.string(),
  accounts: z.array(
    z.object({
      accountId: z.string(),
      accountName: z.string(),
      outcome: z.string(),
      seen: z.number(),
      buckets: z.record(z.string(), z.number()),
      skipped: z.record(z.string(), z.number()),
      failed: z.record(z.string(), z.number()),
      held: z.record(z.string(), z.number()),
      requests: z.number(),
      batches: z.number(),
      mode: z.string(),
    }),
  ),
});

describe('sync of chosen accounts', () => {
  test('prints one object with every bucket of each account, and ends with 0 when all is well', async () => {
    const ran = await sync(['--account', 'shop', '--json']);
    expect(ran.status).toBe(0);
    const report = reportSchema.parse(ran.json());
    expect(report.outcome).toBe('in_sync');
    expect(report.accounts).toHaveLength(1);
    expect(report.accounts[0]).toMatchObject({ accountId: 'shop', accountName: 'Name of shop', seen: 10 });
    expect(Object.keys(report.accounts[0]?.buckets ?? {}).sort()).toEqual([...BUCKETS].sort());
  });

  test('hands the choice of SKUs and the preview on to the run', async () => {
    const ran = await sync(['--account', 'shop', '--sku', 'TEA', '--preview', '--json']);
    expect(reportSchema.parse(ran.json()).accounts[0]).toMatchObject({ mode: 'preview', requests: 1 });
  });

  test('ends with 1 and the reasons when an offer failed', async () => {
    const ran = await sync(['--account', 'failing', '--account', 'shop']);
    expect(ran.status).toBe(1);
    expect(ran.stdout).toContain('failing: failed: OfferRejected 1');
    expect(ran.stdout).toMatch(/: problems\n$/);
  });

  test('reports a run that broke down as failed, with its class', async () => {
    const ran = await sync(['--account', 'broken', '--account', 'shop', '--json']);
    expect(ran.status).toBe(1);
    const report = reportSchema.parse(ran.json());
    expect(report.outcome).toBe('failed');
    expect(report.accounts.map(({ accountId, outcome }) => [accountId, outcome])).toEqual([
      ['broken', 'failed'],
      ['shop', 'in_sync'],
    ]);
  });

  test('waits for a run that is at work, says so, and then runs', async () => {
    await temporal.client.workflow.start('syncAccount', {
      workflowId: syncAccountId('slow'),
      taskQueue: TASK_QUEUE,
      args: [{ accountId: 'slow', trigger: 'schedule' }],
    });
    const { firstExecutionRunId: earlier } = await run('slow')
      .describe()
      .then(({ raw }) => ({
        firstExecutionRunId: raw.workflowExecutionInfo?.firstRunId,
      }));
    const busy = whenSaid(/slow: a run is at work; waiting for it, then running/, async () => {
      await run('slow').signal('finish');
      await until('the second run has begun', async () => {
        const { raw } = await run('slow').describe();
        return raw.workflowExecutionInfo?.firstRunId !== earlier;
      });
      await run('slow').signal('finish');
    });
    const ran = await sync(['--account', 'slow', '--json'], busy);
    await busy.acted();
    expect(ran.status).toBe(0);
    expect(reportSchema.parse(ran.json()).accounts[0]?.outcome).toBe('in_sync');
  });

  test('shows how far the run is', async () => {
    const shown = whenSaid(/slow: scanning, 1000\/2000 offers, 3 differ, 1 settled/, () =>
      run('slow').signal('finish'),
    );
    expect(await sync(['--account', 'slow'], shown)).toMatchObject({ status: 0 });
    await shown.acted();
  });

  test('leaves the run at work when it is interrupted', async () => {
    let interrupt: () => void = () => undefined;
    const shown = whenSaid(/slow: scanning/, () => {
      interrupt();
      return Promise.resolve();
    });
    const ran = await sync(['--account', 'slow'], { ...shown, onInterrupt: (listener) => (interrupt = listener) });
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('interrupted; runs that were started go on');
    expect((await run('slow').describe()).status.name).toBe('RUNNING');
  });

  test('with --detach starts the run and returns', async () => {
    const ran = await sync(['--account', 'slow', '--detach', '--json']);
    expect(ran).toMatchObject({ status: 0 });
    expect(ran.json()).toEqual({ started: ['sync-account/slow'], alreadyRunning: [] });
    const again = await sync(['--account', 'slow', '--detach']);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain('at work already, so not started: sync-account/slow');
  });
});

describe('sync of all accounts', () => {
  test('waits for accounts that the run over all left at work', async () => {
    const shown = whenSaid(/slow: scanning/, () => run('slow').signal('finish'));
    const ran = await sync(['--json'], shown);
    await shown.acted();
    expect(ran.status).toBe(0);
    expect(reportSchema.parse(ran.json()).accounts.map(({ accountId, outcome }) => [accountId, outcome])).toEqual([
      ['shop', 'in_sync'],
      ['slow', 'in_sync'],
    ]);
  });

  test('waits for an account with an earlier run, and then runs it too', async () => {
    await sync(['--account', 'slow', '--detach']);
    const [first] = [(await run('slow').describe()).runId];
    const busy = whenSaid(/slow: an earlier run is at work; waiting for it, then running/, async () => {
      await run('slow').signal('finish');
      await until('the second run has begun', async () => (await run('slow').describe()).runId !== first);
      await run('slow').signal('finish');
    });
    const ran = await sync(['--json'], busy);
    await busy.acted();
    expect(ran.status).toBe(0);
  });
});

test('an account is removed in mid-run: its run is cancelled and has ended before its rows go', async () => {
  const accountId = toAccountId('slow-to-remove');
  await addAccount(db, { accountId, name: 'Slow' });
  await sync(['--account', accountId, '--detach']);
  const env = { ...temporal.env, DATABASE_URL: database.url };
  const ran = await runClient(env, ['accounts', 'remove', accountId]);
  expect(ran).toMatchObject({ status: 0 });
  expect(ran.stderr).toContain('Its run has ended.');
  expect((await run(accountId).describe()).status.name).toBe('CANCELLED');
  expect(await readAccount(db, accountId)).toBeNull();
});

test('sync of all accounts waits for such a run that is at work, and then runs', async () => {
  await temporal.client.workflow.start('syncAccount', {
    workflowId: SYNC_ALL_ACCOUNTS_ID,
    taskQueue: TASK_QUEUE,
    args: [{ accountId: 'slow', trigger: 'manual' }],
  });
  const shown = whenSaid(/slow: scanning/, () => run('slow').signal('finish'));
  const busy = whenSaid(/A run over all accounts is at work; waiting for it, then running/, () =>
    temporal.client.workflow.getHandle(SYNC_ALL_ACCOUNTS_ID).signal('finish'),
  );
  const ran = await sync(['--json'], {
    onStderr: (text) => {
      busy.onStderr(text);
      shown.onStderr(text);
    },
  });
  await Promise.all([busy.acted(), shown.acted()]);
  expect(ran.status).toBe(0);
});

describe('sync refuses before it starts anything', () => {
  test.each([
    [['--account', 'nobody'], '--account: unknown account "nobody"'],
    [['--account', 'Not An Id'], '--account: expected 1 to 64'],
    [['--sku', 'nothing'], '--sku: unknown SKU "nothing"'],
    [['--sku', ' '], '--sku: is empty'],
    [['--frob'], "unknown option '--frob'"],
  ])('%j', async (args, message) => {
    // Nobody answers there: had it tried to start anything, it would say so.
    const env = { ...temporal.env, DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const ran = await runClient(env, ['sync', ...args]);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).not.toContain('127.0.0.1:1');
  });
});
