import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { simulatorAdmin, type SimulatorAdmin } from '../../../simulator/admin-client.js';
import { startSimulator, type Simulator } from '../../../simulator/server.js';
import { createTestDatabase, testRedisUrl, type TestDatabase } from '../../servers.js';
import { runClient, type Environment, type Ran, type RunOptions } from './client-under-test.js';

let simulator: Simulator;
let admin: SimulatorAdmin;
let database: TestDatabase;
let env: Environment;

beforeAll(async () => {
  simulator = await startSimulator({ settings: { deviceIntervalS: 0 } });
  admin = simulatorAdmin(simulator.url);
  database = await createTestDatabase();
  env = {
    DATABASE_URL: database.url,
    REDIS_URL: testRedisUrl(),
    ALLEGRO_API_URL: simulator.url,
    ALLEGRO_AUTH_URL: simulator.url,
    // The limiter's keys bear it: its own for each run of the test.
    ALLEGRO_CLIENT_ID: `client-${randomUUID()}`,
    ALLEGRO_CLIENT_SECRET: 'client-secret-b84e1f',
    ALLEGRO_USER_AGENT: 'StockSyncTest/1.0.0 (+https://example.com/stock-sync)',
    TOKEN_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  };
  for (const sellerId of ['51', '52', '53']) await admin.addSeller({ sellerId, login: `seller-${sellerId}` });
});
afterAll(async () => {
  await database.drop();
  await simulator.stop();
});

function client(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runClient(env, args, options);
}

async function add(accountId: string): Promise<void> {
  const ran = await client(['accounts', 'add', accountId, '--name', accountId]);
  if (ran.status !== 0) throw new Error(ran.stderr);
}

/** Agrees, or does not, as soon as the code is shown. */
function authorize(accountId: string, decision: Parameters<SimulatorAdmin['decideDevice']>[1]): Promise<Ran> {
  let hasDecided = false;
  return client(['accounts', 'authorize', accountId], {
    onStderr: (text) => {
      const code = /Code: ([^.]+)\. Asked for/.exec(text)?.[1];
      if (code === undefined || hasDecided) return;
      hasDecided = true;
      void admin.decideDevice(code, decision);
    },
  });
}

async function refreshTokenOf(sellerId: string): Promise<string> {
  const clientId = env['ALLEGRO_CLIENT_ID'] ?? '';
  return (await admin.issueTokens({ sellerId, clientId })).refreshToken;
}

describe('accounts authorize', () => {
  test('prints link and scopes, waits for the consent, and shows whose shop it is', async () => {
    await add('shop-1');
    const ran = await authorize('shop-1', { decision: 'approve', sellerId: '51' });
    expect(ran.stderr).toContain('allegro:api:sale:offers:write');
    expect(ran.stderr).toMatch(/https?:\/\/\S+/);
    expect(ran).toMatchObject({ status: 0, stdout: '"shop-1" is logged in as seller-51 (51).\n' });
    expect((await client(['accounts', 'show', 'shop-1', '--json'])).json()).toMatchObject({
      sellerId: '51',
      hasTokens: true,
    });
  });

  test('refuses a seller that another account is bound to', async () => {
    await add('shop-2');
    const ran = await authorize('shop-2', { decision: 'approve', sellerId: '51' });
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('shop-1');
    expect((await client(['accounts', 'show', 'shop-2', '--json'])).json()).toMatchObject({
      sellerId: null,
      hasTokens: false,
    });
  });

  test('says so when the seller refuses', async () => {
    await add('shop-3');
    const ran = await authorize('shop-3', { decision: 'deny' });
    expect(ran).toMatchObject({ status: 1, stdout: '' });
  });

  test('refuses an account that does not exist, before Allegro is asked', async () => {
    const { lastRequest } = await admin.journal();
    const ran = await client(['accounts', 'authorize', 'nobody']);
    expect(ran.status).toBe(2);
    expect((await admin.journal({ since: lastRequest })).entries).toEqual([]);
  });
});

describe('accounts add --refresh-token-stdin', () => {
  test('logs in with the token and shows it nowhere', async () => {
    const token = await refreshTokenOf('52');
    const ran = await client(['accounts', 'add', 'shop-4', '--name', 'Four', '--refresh-token-stdin'], {
      stdin: `${token}\n`,
    });
    expect(ran.stdout).toContain('logged in as seller-52 (52)');
    expect(ran.stdout + ran.stderr).not.toContain(token);
  });

  test('adds the account without a login when the token is refused, and says how to log in', async () => {
    const token = 'a-token-that-nobody-issued';
    const ran = await client(['accounts', 'add', 'shop-5', '--name', 'Five', '--refresh-token-stdin'], {
      stdin: token,
    });
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('accounts authorize shop-5');
    expect(ran.stderr).not.toContain(token);
    expect((await client(['accounts', 'show', 'shop-5', '--json'])).json()).toMatchObject({ hasTokens: false });
  });

  test.each([
    ['nothing', ''],
    ['two words', 'one two'],
  ])('adds nothing when stdin holds %s', async (_name, stdin) => {
    const ran = await client(['accounts', 'add', 'shop-6', '--name', 'Six', '--refresh-token-stdin'], { stdin });
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain('--refresh-token-stdin:');
    expect((await client(['accounts', 'show', 'shop-6'])).status).toBe(2);
  });
});
