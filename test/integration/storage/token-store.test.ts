import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { SyncError } from '../../../src/domain/errors.js';
import { toAccountId, toSellerId, type AccountId } from '../../../src/domain/ids.js';
import type { TokenPair, TokenStore } from '../../../src/domain/token-store.js';
import { addAccount, pauseAccount, readAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createEncryption } from '../../../src/storage/encryption.js';
import { createTokenStore } from '../../../src/storage/token-store.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;
let store: TokenStore;
const key = randomBytes(32);
let accounts = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'token-store test' });
  store = storeWith(key);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

function storeWith(ownKey: Buffer, earlier: readonly Buffer[] = []): TokenStore {
  return createTokenStore({ db, databaseUrl: database.url, encryption: createEncryption(ownKey, earlier) });
}

async function newAccount(): Promise<AccountId> {
  accounts += 1;
  const accountId = toAccountId(`shop-${accounts}`);
  await addAccount(db, { accountId, name: 'Shop' });
  return accountId;
}

function pair(name: string): TokenPair {
  return {
    accessToken: `access-${name}`,
    refreshToken: `refresh-${name}`,
    accessExpiresAt: new Date('2026-12-01T12:00:00Z'),
  };
}

async function typeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: unknown) => (error instanceof SyncError ? error.type : String(error)),
  );
}

describe('a stored pair', () => {
  test('is read as it was written', async () => {
    const accountId = await newAccount();

    expect(await store.replace(accountId, null, pair('one'))).toBe(true);

    expect(await store.read(accountId)).toMatchObject({
      ...pair('one'),
      generation: 1,
      refreshStartedAt: null,
      isSellerChecked: false,
    });
  });

  test('is nowhere in the table in the clear', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('clear'));

    const row = await db.selectFrom('accountTokens').selectAll().where('accountId', '=', accountId).executeTakeFirst();

    const bytes = Buffer.concat([row?.accessToken ?? Buffer.alloc(0), row?.refreshToken ?? Buffer.alloc(0)]);
    expect(bytes.length).toBeGreaterThan(50);
    expect(bytes.includes('access-clear')).toBe(false);
    expect(bytes.includes('refresh-clear')).toBe(false);
  });

  test('is not replaced by who has read an older one', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));
    await store.replace(accountId, 1, pair('two'), 'refresh');

    expect(await store.replace(accountId, 1, pair('late'), 'refresh')).toBe(false);
    expect(await store.replace(accountId, null, pair('late'))).toBe(false);
    expect(await store.read(accountId)).toMatchObject({ ...pair('two'), generation: 2 });
  });

  test('of another account cannot be put in its place', async () => {
    const mine = await newAccount();
    const other = await newAccount();
    await store.replace(mine, null, pair('mine'));
    await store.replace(other, null, pair('other'));
    const row = await db
      .selectFrom('accountTokens')
      .selectAll()
      .where('accountId', '=', other)
      .executeTakeFirstOrThrow();
    await db
      .updateTable('accountTokens')
      .set({ accessToken: row.accessToken, refreshToken: row.refreshToken })
      .where('accountId', '=', mine)
      .execute();

    expect(await typeOf(store.read(mine))).toBe('ApplicationRefused');
  });

  test('that another key encrypted says so, naming both keys and no secret', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('key'));

    const error: unknown = await storeWith(randomBytes(32))
      .read(accountId)
      .catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(SyncError);
    expect(String(error)).toContain(createEncryption(key).keyId);
    expect(String(error)).not.toContain('access-key');
  });
});

describe('the beginning of a refresh', () => {
  test('is committed, keeps its first time, and ends with the next pair', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));

    await store.markRefreshStarted(accountId, 1);
    const first = (await store.read(accountId))?.refreshStartedAt;
    await store.markRefreshStarted(accountId, 1);

    expect(first).toBeInstanceOf(Date);
    expect((await store.read(accountId))?.refreshStartedAt).toEqual(first);
    await store.replace(accountId, 1, pair('two'), 'refresh');
    expect((await store.read(accountId))?.refreshStartedAt).toBeNull();
  });
});

describe('the refresh lock', () => {
  test('has one holder per account over all connections, and other accounts do not wait', async () => {
    const accountId = await newAccount();
    const other = await newAccount();
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await store.withRefreshLock(other, () => Promise.resolve());
      inside -= 1;
    };

    await Promise.all(Array.from({ length: 5 }, () => storeWith(key).withRefreshLock(accountId, work)));

    expect(most).toBe(1);
  });

  test('is free again when its holder fails', async () => {
    const accountId = await newAccount();

    await expect(store.withRefreshLock(accountId, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');

    expect(await store.withRefreshLock(accountId, () => Promise.resolve('free'))).toBe('free');
  });

  test('is gone with its connection, and work that has begun is brought to its end', async () => {
    const accountId = await newAccount();
    let isFinished = false;

    const held = store.withRefreshLock(accountId, async () => {
      await cutOff('token refresh');
      await store.withRefreshLock(accountId, () => Promise.resolve());
      isFinished = true;
      return 'done';
    });

    expect(await held).toBe('done');
    expect(isFinished).toBe(true);
  });

  test('that cannot be asked for is DependencyUnavailable', async () => {
    const away = createTokenStore({
      db,
      databaseUrl: 'postgres://nobody@127.0.0.1:9/nothing',
      encryption: createEncryption(key),
    });

    expect(await typeOf(away.withRefreshLock(await newAccount(), () => Promise.resolve()))).toBe(
      'DependencyUnavailable',
    );
  });

  test('lost while it is waited for is DependencyUnavailable', async () => {
    const accountId = await newAccount();
    let release: () => void = () => undefined;
    let held: Promise<void> = Promise.resolve();
    // The lock is held before the other one asks for it.
    await new Promise<void>((entered) => {
      held = store.withRefreshLock(
        accountId,
        () =>
          new Promise<void>((resolve) => {
            release = resolve;
            entered();
          }),
      );
    });
    const waiting = typeOf(store.withRefreshLock(accountId, () => Promise.resolve()));

    await cutOff('token refresh', 'advisory');

    expect(await waiting).toBe('DependencyUnavailable');
    release();
    await held;
  });
});

/** Ends the connections of that application, or only those that wait for such a lock. */
async function cutOff(application: string, waitingFor?: string): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const { rows } = await sql<{ ended: boolean }>`
      select pg_terminate_backend(pid) as ended from pg_stat_activity
      where datname = current_database() and application_name like ${`%${application}`}
      and (${waitingFor ?? null}::text is null or wait_event = ${waitingFor ?? null})`.execute(db);
    if (rows.length > 0) return;
    if (Date.now() > deadline) throw new Error(`no connection of ${application} to cut off`);
  }
}

describe('binding', () => {
  const seller = (id: string) => ({ sellerId: toSellerId(id), login: `login-${id}` });

  test('happens once and stays', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));

    expect(await store.bindSeller(accountId, seller('101'), 1)).toEqual({ kind: 'bound' });
    expect(await store.bindSeller(accountId, seller('101'), 1)).toEqual({ kind: 'same' });
    expect(await store.bindSeller(accountId, seller('102'), 1)).toEqual({ kind: 'other_seller', boundTo: '101' });
    expect(await store.readSeller(accountId)).toBe('101');
  });

  test('of one seller to two accounts at once succeeds for one of them', async () => {
    const [first, second] = [await newAccount(), await newAccount()];

    const outcomes = await Promise.all([first, second].map((id) => store.bindSeller(id, seller('110'))));

    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['bound', 'taken']);
    const taken = outcomes.find((outcome) => outcome.kind === 'taken');
    expect(taken).toEqual({ kind: 'taken', by: outcomes[0]?.kind === 'bound' ? first : second });
  });

  test('checks the pair that told the seller, and only that', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));
    await store.replace(accountId, 1, pair('two'), 'login');

    await store.bindSeller(accountId, seller('120'), 1);
    expect((await store.read(accountId))?.isSellerChecked).toBe(false);

    await store.bindSeller(accountId, seller('120'), 2);
    expect((await store.read(accountId))?.isSellerChecked).toBe(true);
  });

  test('is kept by a refresh and asked for again by a login', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));
    await store.bindSeller(accountId, seller('130'), 1);

    await store.replace(accountId, 1, pair('two'), 'refresh');
    expect((await store.read(accountId))?.isSellerChecked).toBe(true);

    await store.replace(accountId, 2, pair('three'), 'login');
    expect((await store.read(accountId))?.isSellerChecked).toBe(false);
  });
});

describe('a pause for a login', () => {
  test('is ended by the login', async () => {
    const accountId = await newAccount();
    await store.replace(accountId, null, pair('one'));
    await store.pauseForLogin(accountId, 'refused');
    expect((await readAccount(db, accountId))?.pausedReason).toBe('login needed: refused');

    await store.replace(accountId, 1, pair('two'), 'login');

    expect((await readAccount(db, accountId))?.pausedReason).toBeNull();
  });

  test('is not confused with a pause that a person made', async () => {
    const accountId = await newAccount();
    await pauseAccount(db, accountId, 'holidays');

    await store.pauseForLogin(accountId, 'refused');
    await store.replace(accountId, null, pair('one'), 'login');

    expect((await readAccount(db, accountId))?.pausedReason).toBe('holidays');
  });
});

test('without PostgreSQL everything is DependencyUnavailable, and says nothing of the statement', async () => {
  const gone = openDatabase('postgres://nobody@127.0.0.1:9/nothing', { applicationName: 'gone' });
  const away = createTokenStore({ db: gone, databaseUrl: database.url, encryption: createEncryption(key) });
  const accountId = toAccountId('shop');

  const types = await Promise.all([
    typeOf(away.read(accountId)),
    typeOf(away.replace(accountId, 1, pair('x'), 'refresh')),
    typeOf(away.markRefreshStarted(accountId, 1)),
    typeOf(away.pauseForLogin(accountId, 'reason')),
    typeOf(away.readSeller(accountId)),
    typeOf(away.bindSeller(accountId, { sellerId: toSellerId('1'), login: 'x' })),
  ]);

  expect(new Set(types)).toEqual(new Set(['DependencyUnavailable']));
  await gone.destroy();
});
