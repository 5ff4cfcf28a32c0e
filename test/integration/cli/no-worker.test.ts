import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount, readAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { SYNC_ALL_ACCOUNTS_ID, syncAccountId } from '../../../src/workflows/api.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { runClient, type Environment } from './client-under-test.js';
import { createNamespace, type TestNamespace } from './temporal-namespace.js';

const SHOP = toAccountId('shop');

let temporal: TestNamespace;
let database: TestDatabase;
let db: Db;
let env: Environment;

beforeAll(async () => {
  temporal = await createNamespace();
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'no-worker test' });
  await addAccount(db, { accountId: SHOP, name: 'Shop' });
  env = { ...temporal.env, DATABASE_URL: database.url };
});
afterAll(async () => {
  await temporal.close();
  await db.destroy();
  await database.drop();
});

test('sync says after 10 s that no worker polls the task queue, and goes on waiting', async () => {
  const startedAt = Date.now();
  let saidAfterMs = 0;
  let interrupt: () => void = () => undefined;
  const ran = await runClient(env, ['sync'], {
    onInterrupt: (listener) => (interrupt = listener),
    onStderr: (text) => {
      if (!text.includes('No worker polls the task queue "allegro-stock-sync"')) return;
      saidAfterMs = Date.now() - startedAt;
      interrupt();
    },
  });
  expect(ran.status).toBe(1);
  expect(saidAfterMs).toBeGreaterThanOrEqual(10_000);
  const run = temporal.client.workflow.getHandle(SYNC_ALL_ACCOUNTS_ID);
  expect((await run.describe()).status.name).toBe('RUNNING');
  await run.terminate();
});

test('an account is removed although its run waits for a worker that is not there', async () => {
  await runClient(env, ['sync', '--account', SHOP, '--detach']);
  const ran = await runClient(env, ['accounts', 'remove', SHOP]);
  expect(ran.status).toBe(0);
  expect(ran.stderr).toContain('A run of "shop" is at work; it is ended');
  expect((await temporal.client.workflow.getHandle(syncAccountId(SHOP)).describe()).status.name).toBe('TERMINATED');
  expect(await readAccount(db, SHOP)).toBeNull();
});
