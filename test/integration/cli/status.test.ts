import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { toAccountId } from '../../../src/domain/ids.js';
import { openDatabase } from '../../../src/storage/database.js';
import { recordSaleFailure } from '../../../src/storage/sales.js';
import { createTestDatabase, testRedisUrl, type TestDatabase } from '../../servers.js';
import { runClient, type Environment } from './client-under-test.js';
import { createNamespace, type TestNamespace } from './temporal-namespace.js';

let temporal: TestNamespace;
let database: TestDatabase;
let env: Environment;

beforeAll(async () => {
  temporal = await createNamespace();
  database = await createTestDatabase();
  env = {
    ...temporal.env,
    DATABASE_URL: database.url,
    REDIS_URL: testRedisUrl(),
    ALLEGRO_CLIENT_ID: `client-${randomUUID()}`,
    ALLEGRO_CLIENT_SECRET: 'client-secret-c77a',
    ALLEGRO_USER_AGENT: 'StockSyncTest/1.0.0 (+https://example.com/stock-sync)',
    TOKEN_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  };
});
afterAll(async () => {
  await temporal.close();
  await database.drop();
});

const statusSchema = z.object({
  isWell: z.boolean(),
  problems: z.array(z.string()),
  schedule: z.object({ ticksSkipped: z.number(), ticksMissed: z.number() }),
  unpolledQueues: z.array(z.string()),
  stopSwitch: z.object({ isStopped: z.boolean() }),
  limiter: z.array(z.object({ scope: z.string(), limit: z.number(), usedInWindow: z.number() })),
  alerts: z.object({ destination: z.string().nullable(), waiting: z.number() }),
  sharedSkus: z.object({ skus: z.number() }),
  unreadableSales: z.array(z.object({ accountId: z.string(), errorClass: z.string() })),
  accounts: z.array(z.object({ accountId: z.string(), completeAgeSeconds: z.number().nullable() })),
});

test('status gathers what all parts know, and ends with 1 when there is something to look at', async () => {
  await runClient(env, ['schedule', 'apply']);
  await runClient(env, ['accounts', 'add', 'shop-1', '--name', 'Tea House']);
  await runClient(env, ['stop', '--reason', 'wrong file']);
  const db = openDatabase(database.url, { applicationName: 'status test' });
  const unread = { errorClass: 'AccountRefused', message: 'insufficient scope', isCursorLost: false };
  await recordSaleFailure(db, toAccountId('shop-1'), unread).finally(() => db.destroy());
  const json = await runClient(env, ['status', '--json']);
  expect(json.status).toBe(1);
  expect(statusSchema.parse(json.json())).toMatchObject({
    isWell: false,
    problems: [
      expect.stringContaining('all writes are stopped'),
      expect.stringContaining('no worker polls the task queue'),
    ],
    unpolledQueues: [
      'allegro-stock-sync (workflows)',
      'allegro-stock-sync (activities)',
      'allegro-stock-sync-marketplace (activities)',
    ],
    limiter: [{ scope: 'app', limit: 9000, usedInWindow: 0 }],
    alerts: { destination: null, waiting: 0 },
    accounts: [{ accountId: 'shop-1', completeAgeSeconds: null }],
    unreadableSales: [{ accountId: 'shop-1', errorClass: 'AccountRefused' }],
  });
  const text = await runClient(env, ['status']);
  expect(text.stdout).toContain('app: 0 of 9000 requests in the last 60 s');
  expect(text.stdout).toContain('The sales of shop-1 could not be read (AccountRefused, ');
  expect(text.stdout).toContain('alerts go to the log of the worker only');
  expect(text.stdout).toMatch(/look at: all writes are stopped since .*: wrong file/);
});

test('status shows the rest when Redis or Temporal is away, without a password', async () => {
  const away = { ...env, REDIS_URL: 'redis://:secret-1f3@127.0.0.1:1', TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const ran = await runClient(away, ['status']);
  expect(ran.status).toBe(1);
  expect(ran.stdout).toContain('look at: Temporal at 127.0.0.1:1 cannot be reached');
  expect(ran.stdout).toContain('look at: Redis at 127.0.0.1:1 cannot be reached');
  expect(ran.stdout).toContain('shop-1');
  expect(ran.stdout + ran.stderr).not.toContain('secret-1f3');
});
