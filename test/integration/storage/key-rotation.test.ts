import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { toAccountId, type AccountId } from '../../../src/domain/ids.js';
import type { TokenStore } from '../../../src/domain/token-store.js';
import { addAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createEncryption, type Encryption } from '../../../src/storage/encryption.js';
import { rotateTokenKey } from '../../../src/storage/key-rotation.js';
import { createTokenStore } from '../../../src/storage/token-store.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;
const oldKey = randomBytes(32);
const newKey = randomBytes(32);
const onlyOld = createEncryption(oldKey);
const both = createEncryption(newKey, [oldKey]);
const onlyNew = createEncryption(newKey);

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'key-rotation test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const IDS = ['shop-1', 'shop-2', 'shop-3'].map(toAccountId);
beforeEach(async () => {
  await db.deleteFrom('accounts').execute();
  for (const accountId of IDS) {
    await addAccount(db, { accountId, name: accountId, mode: 'live' });
    await storeWith(onlyOld).replace(accountId, null, pair(accountId, 1));
  }
});

function storeWith(encryption: Encryption, over: Db = db): TokenStore {
  return createTokenStore({ db: over, databaseUrl: database.url, encryption });
}

function pair(accountId: AccountId, number: number) {
  const accessExpiresAt = new Date('2030-01-01T00:00:00Z');
  return {
    accessToken: `access ${accountId} ${number}`,
    refreshToken: `refresh ${accountId} ${number}`,
    accessExpiresAt,
  };
}

const rotate = (encryption: Encryption, over: Db = db) =>
  rotateTokenKey({ db: over, databaseUrl: database.url, encryption });

test('encrypts every login with the new key, which then suffices; done again it does nothing', async () => {
  expect(await storeWith(both).read(IDS[0] ?? toAccountId('x'))).toMatchObject(pair(toAccountId('shop-1'), 1));

  expect(await rotate(both)).toEqual({ rotated: IDS, unreadable: [] });
  expect(await rotate(both)).toEqual({ rotated: [], unreadable: [] });

  for (const accountId of IDS) {
    expect(await storeWith(onlyNew).read(accountId)).toMatchObject({ ...pair(accountId, 1), generation: 1 });
    await expect(storeWith(onlyOld).read(accountId)).rejects.toMatchObject({ type: 'ApplicationRefused' });
  }
});

test('interrupted in the middle it leaves every login readable, and goes on when it is called again', async () => {
  let updates = 0;
  const failing: Encryption = {
    ...both,
    encrypt: (accountId, secret) => {
      updates += 1;
      // Of the second account, between its two tokens.
      if (updates === 4) throw new Error('killed');
      return both.encrypt(accountId, secret);
    },
  };
  await expect(rotate(failing)).rejects.toThrow('killed');

  for (const accountId of IDS) expect(await storeWith(both).read(accountId)).toMatchObject(pair(accountId, 1));
  expect((await rotate(both)).rotated).toEqual(IDS.slice(1));
  for (const accountId of IDS) expect(await storeWith(onlyNew).read(accountId)).toMatchObject(pair(accountId, 1));
});

describe('workers at work meanwhile', () => {
  test('a refresh that began before is waited for, and its new pair is the one that is encrypted', async () => {
    const [accountId = toAccountId('x')] = IDS;
    let rotation: Promise<unknown> = Promise.resolve();
    await storeWith(both).withRefreshLock(accountId, async () => {
      rotation = rotate(both);
      await waitForLock();
      await storeWith(onlyOld).replace(accountId, 1, pair(accountId, 2), 'refresh');
    });
    await rotation;

    expect(await storeWith(onlyNew).read(accountId)).toMatchObject({ ...pair(accountId, 2), generation: 2 });
  });

  test('what a worker with the old key alone stores during it is taken up too', async () => {
    const [accountId = toAccountId('x')] = IDS;
    let hasStored = false;
    const meanwhile: Encryption = {
      ...both,
      decrypt: (id, stored) => {
        if (id === IDS[2] && !hasStored) {
          hasStored = true;
          stores.push(storeWith(onlyOld).replace(accountId, 1, pair(accountId, 2), 'refresh'));
        }
        return both.decrypt(id, stored);
      },
    };
    const stores: Promise<unknown>[] = [];

    await rotate(meanwhile);
    await Promise.all(stores);
    await rotate(both);

    expect(await storeWith(onlyNew).read(accountId)).toMatchObject(pair(accountId, 2));
  });

  test('one with the old key alone cannot read what is done: told as such, no account is paused, nothing is lost', async () => {
    const [accountId = toAccountId('x')] = IDS;
    await rotate(both);

    const error: unknown = await storeWith(onlyOld)
      .read(accountId)
      .catch((thrown: unknown) => thrown);

    expect(String(error)).toContain(
      `encrypted with key ${onlyNew.keyId}, but TOKEN_ENCRYPTION_KEY is key ${onlyOld.keyId}`,
    );
    const paused = await db.selectFrom('accounts').select('id').where('pausedReason', 'is not', null).execute();
    expect(paused).toEqual([]);
    expect(await storeWith(both).read(accountId)).toMatchObject(pair(accountId, 1));
  });
});

test('a login that no known key can read is named, and the others are done', async () => {
  const third = createEncryption(randomBytes(32));
  const [, accountId = toAccountId('x')] = IDS;
  await db.deleteFrom('accountTokens').where('accountId', '=', accountId).execute();
  await storeWith(third).replace(accountId, null, pair(accountId, 1));

  expect(await rotate(both)).toEqual({
    rotated: [IDS[0], IDS[2]],
    unreadable: [{ accountId, keyId: third.keyId }],
  });
});

/** Until somebody waits for an advisory lock. */
async function waitForLock(): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const { rows } = await sql<{ waits: boolean }>`
      select exists (select from pg_locks where locktype = 'advisory' and not granted) as waits`.execute(db);
    if (rows[0]?.waits === true) return;
  }
  throw new Error('nobody waited for the lock');
}
