import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount } from '../../../src/storage/accounts.js';
import { withAdvisoryLock } from '../../../src/storage/advisory-lock.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createEncryption } from '../../../src/storage/encryption.js';
import { createTokenStore, TOKEN_REFRESH_LOCK } from '../../../src/storage/token-store.js';
import { findSecrets } from '../../e2e/secrets-search.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { runClient, spawnClient, type Ran } from './client-under-test.js';
import { until } from './temporal-namespace.js';

/** `accounts rotate-key` as a person runs it, by docs/operations.md. */

const aKey = (): string => randomBytes(32).toString('base64');
const [oldKey, newKey, strangeKey] = [aKey(), aKey(), aKey()];
const idOf = (key: string): string => createEncryption(key).keyId;
const SHOPS = ['shop-1', 'shop-2', 'shop-3'].map(toAccountId);
const [, SECOND = toAccountId('x')] = SHOPS;
const ROTATE = ['accounts', 'rotate-key'];

let database: TestDatabase;
let db: Db;
/** Everything that any of the commands printed. */
const printed: Ran[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'key-rotation test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await db.deleteFrom('accounts').execute();
  const store = createTokenStore({ db, databaseUrl: database.url, encryption: createEncryption(oldKey) });
  for (const accountId of SHOPS) {
    await addAccount(db, { accountId, name: accountId, mode: 'live' });
    await store.replace(accountId, null, pairOf(accountId));
  }
});

function pairOf(accountId: string) {
  return {
    accessToken: `access-token-of-${accountId}`,
    refreshToken: `refresh-token-of-${accountId}`,
    accessExpiresAt: new Date('2030-01-01T00:00:00Z'),
  };
}

function environment(key: string, previous?: string): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    TOKEN_ENCRYPTION_KEY: key,
    ...(previous === undefined ? {} : { TOKEN_ENCRYPTION_KEY_PREVIOUS: previous }),
  };
}

async function rotate(env: Record<string, string>, ...args: string[]): Promise<Ran> {
  const ran = await runClient(env, [...ROTATE, ...args]);
  printed.push(ran);
  return ran;
}

async function keyIds(): Promise<string[]> {
  const rows = await db.selectFrom('accountTokens').select('keyId').orderBy('accountId').execute();
  return rows.map(({ keyId }) => keyId);
}

async function expectReadable(...keys: [string, ...string[]]): Promise<void> {
  const [key, ...previous] = keys;
  const store = createTokenStore({ db, databaseUrl: database.url, encryption: createEncryption(key, previous) });
  for (const accountId of SHOPS) expect(await store.read(accountId)).toMatchObject(pairOf(accountId));
}

describe('accounts rotate-key', () => {
  test('encrypts every login with the new key, which then suffices, and says so', async () => {
    expect(await rotate(environment(newKey, oldKey))).toMatchObject({
      status: 0,
      stdout:
        `3 logins were encrypted with key ${idOf(newKey)}.\n` +
        'All stored logins are encrypted with it: TOKEN_ENCRYPTION_KEY_PREVIOUS is not needed any more.\n',
      stderr: '',
    });
    await expectReadable(newKey);
  });

  test('has nothing to do the second time, with the previous key or without it', async () => {
    await rotate(environment(newKey, oldKey));

    for (const env of [environment(newKey, oldKey), environment(newKey)]) {
      const ran = await rotate(env, '--json');
      expect({ status: ran.status, json: ran.json() }).toEqual({
        status: 0,
        json: { keyId: idOf(newKey), rotated: [], unreadable: [] },
      });
    }
    await expectReadable(newKey);
  });

  test('with a wrong previous key changes nothing, names both keys by their ids, and ends with 1', async () => {
    const { status, stdout } = await rotate(environment(newKey, strangeKey));

    expect(status).toBe(1);
    expect(stdout).toContain(`0 logins were encrypted with key ${idOf(newKey)}.`);
    for (const accountId of SHOPS) {
      expect(stdout).toContain(
        `${accountId}: encrypted with key ${idOf(oldKey)}, but TOKEN_ENCRYPTION_KEY_PREVIOUS is key ${idOf(strangeKey)}.`,
      );
      expect(stdout).toContain(`accounts authorize ${accountId}\n`);
    }
    expect(stdout).not.toContain('is not needed any more');
    await expectReadable(oldKey);
  });

  test('without a previous key changes nothing, says which one to set, and ends with 1', async () => {
    const { status, stdout } = await rotate(environment(newKey));
    expect(status).toBe(1);
    expect(stdout).toContain(`encrypted with key ${idOf(oldKey)}, but TOKEN_ENCRYPTION_KEY_PREVIOUS is not set.`);

    const json = await rotate(environment(newKey), '--json');
    expect({ status: json.status, json: json.json() }).toEqual({
      status: 1,
      json: {
        keyId: idOf(newKey),
        rotated: [],
        unreadable: SHOPS.map((accountId) => ({ accountId, keyId: idOf(oldKey) })),
      },
    });
    await expectReadable(oldKey);
  });

  test('does the others where one login was changed in the database, and asks for a new one of that', async () => {
    await db
      .updateTable('accountTokens')
      .set({ accessToken: randomBytes(64) })
      .where('accountId', '=', SECOND)
      .execute();

    const { status, stdout } = await rotate(environment(newKey, oldKey));

    expect(status).toBe(1);
    expect(stdout).toContain('2 logins were encrypted');
    expect(stdout).toMatch(/shop-2: what is stored was changed outside this program .* accounts authorize shop-2\n/);
    expect(await keyIds()).toEqual([newKey, oldKey, newKey].map(idOf));
  });

  test.each([
    ['the same key twice', () => environment(newKey, newKey), /TOKEN_ENCRYPTION_KEY_PREVIOUS is the same/],
    ['a previous key that is too short', () => environment(newKey, 'c2hvcnQ='), /TOKEN_ENCRYPTION_KEY_PREVIOUS/],
    ['a previous key that is cut off', () => environment(newKey, oldKey.slice(0, -4)), /TOKEN_ENCRYPTION_KEY_PREVIOUS/],
    ['a previous key with more behind it', () => environment(newKey, `${oldKey}AAAA`), /TOKEN_ENCRYPTION_KEY_PREVIOUS/],
  ])('refuses %s with 2, and changes nothing', async (_what, env, message) => {
    const { status, stdout, stderr } = await rotate(env());

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(newKey);
    expect(stderr).not.toContain(oldKey.slice(0, 16));
    await expectReadable(oldKey);
  });

  test('killed half-way leaves every login readable with both keys, and does the rest when it is run again', async () => {
    const env = environment(newKey, oldKey);
    let commandLine = '';
    // Whoever refreshes a token has this lock: the command waits for it, with the first login done.
    await withAdvisoryLock(database.url, { space: TOKEN_REFRESH_LOCK, name: SECOND }, async () => {
      const started: ChildProcess[] = [];
      const run = spawnClient(env, ROTATE, { onStart: (child) => started.push(child) });
      await until('the first login is done', async () => (await keyIds())[0] === idOf(newKey));
      commandLine = await readFile(`/proc/${started[0]?.pid ?? 0}/cmdline`, 'utf8');
      started[0]?.kill('SIGKILL');
      const ran = await run;
      expect(ran).toMatchObject({ status: -1, stdout: '' });
      printed.push(ran);
    });

    expect(commandLine).toContain('rotate-key');
    expect(findSecrets([{ name: 'process list', text: commandLine }], secrets())).toEqual([]);
    expect(await keyIds()).toEqual([newKey, oldKey, oldKey].map(idOf));
    await expectReadable(newKey, oldKey);
    expect((await rotate(env, '--json')).json()).toMatchObject({ rotated: SHOPS.slice(1), unreadable: [] });
    await expectReadable(newKey);
  });

  test('printed neither key nor token in all of this', () => {
    expect(printed.length).toBeGreaterThan(10);
    const outputs = printed.map(({ stdout, stderr }, index) => ({ name: `run ${index}`, text: stdout + stderr }));

    expect(findSecrets(outputs, secrets())).toEqual([]);
  });
});

function secrets(): Map<string, string> {
  const hexOf = (key: string): string => Buffer.from(key, 'base64').toString('hex');
  return new Map([
    ...[oldKey, newKey, strangeKey].flatMap((key, index): [string, string][] => [
      [`key ${index}`, key],
      [`bytes of key ${index}`, hexOf(key)],
    ]),
    ...SHOPS.flatMap((accountId): [string, string][] => [
      [`access token of ${accountId}`, pairOf(accountId).accessToken],
      [`refresh token of ${accountId}`, pairOf(accountId).refreshToken],
    ]),
  ]);
}
