import { sql } from 'kysely';
import { SyncError } from '../domain/errors.js';
import { toAccountId, toSellerId, type AccountId } from '../domain/ids.js';
import type { SellerBinding, StoredTokens, TokenPair, TokenStore } from '../domain/token-store.js';
import { withAdvisoryLock } from './advisory-lock.js';
import { withDatabaseErrors } from './database-errors.js';
import type { Db } from './database.js';
import { DecryptionFailed, type Encryption } from './encryption.js';

export interface TokenStoreOptions {
  readonly db: Db;
  /** For the refresh lock's own connections. */
  readonly databaseUrl: string;
  readonly encryption: Encryption;
}

/** The space of the locks that let one process at a time refresh an account's tokens. */
export const TOKEN_REFRESH_LOCK = 'token refresh';

/** Tells pauses that a login ends from those that a person made. */
export const LOGIN_NEEDED = 'login needed: ';

/**
 * Tokens in `account_tokens`, encrypted. Throws SyncError `DependencyUnavailable` when PostgreSQL is away,
 * `ApplicationRefused` when TOKEN_ENCRYPTION_KEY is not the key they were stored with.
 */
export function createTokenStore({ db, databaseUrl, encryption }: TokenStoreOptions): TokenStore {
  function encrypted(accountId: AccountId, pair: TokenPair) {
    return {
      keyId: encryption.keyId,
      accessToken: encryption.encrypt(accountId, pair.accessToken),
      refreshToken: encryption.encrypt(accountId, pair.refreshToken),
      accessExpiresAt: pair.accessExpiresAt,
      refreshStartedAt: null,
    };
  }

  /** A key that does not fit concerns every account and is no reason to log in again. */
  function decrypted(accountId: AccountId, keyId: string, bytes: Buffer): string {
    try {
      return encryption.decrypt(accountId, { keyId, bytes });
    } catch (error) {
      if (error instanceof DecryptionFailed) throw new SyncError('ApplicationRefused', error.message);
      throw error;
    }
  }

  async function read(accountId: AccountId): Promise<StoredTokens | null> {
    const row = await db.selectFrom('accountTokens').selectAll().where('accountId', '=', accountId).executeTakeFirst();
    if (row === undefined) return null;
    return {
      accessToken: decrypted(accountId, row.keyId, row.accessToken),
      refreshToken: decrypted(accountId, row.keyId, row.refreshToken),
      accessExpiresAt: row.accessExpiresAt,
      generation: row.generation,
      storedAt: row.storedAt,
      refreshStartedAt: row.refreshStartedAt,
      isSellerChecked: row.sellerChecked,
    };
  }

  /** One statement each, so that no other pair can come in between. */
  async function replace(
    accountId: AccountId,
    expectedGeneration: number | null,
    pair: TokenPair,
    origin: 'login' | 'refresh',
  ): Promise<boolean> {
    const values = encrypted(accountId, pair);
    if (expectedGeneration === null) {
      const inserted = await db
        .insertInto('accountTokens')
        .values({ ...values, accountId, generation: 1 })
        .onConflict((conflict) => conflict.column('accountId').doNothing())
        .returning('generation')
        .executeTakeFirst();
      return inserted !== undefined;
    }
    const updated = await db
      .updateTable('accountTokens')
      .set((eb) => ({
        ...values,
        generation: eb('generation', '+', 1),
        storedAt: sql<Date>`now()`,
        ...(origin === 'login' ? { sellerChecked: false } : {}),
      }))
      .where('accountId', '=', accountId)
      .where('generation', '=', expectedGeneration)
      .executeTakeFirst();
    return updated.numUpdatedRows > 0n;
  }

  async function endLoginPause(accountId: AccountId): Promise<void> {
    await db
      .updateTable('accounts')
      .set({ pausedReason: null, pausedAt: null, unopenedClass: null })
      .where('id', '=', accountId)
      .where('pausedReason', 'like', `${LOGIN_NEEDED}%`)
      .execute();
  }

  /** The unique index on the seller decides between two accounts that are bound at the same time. */
  async function bindSeller(
    accountId: AccountId,
    seller: { sellerId: string; login: string },
    generation: number | undefined,
  ): Promise<SellerBinding> {
    const account = await db
      .selectFrom('accounts')
      .select('sellerId')
      .where('id', '=', accountId)
      .executeTakeFirstOrThrow(() => new Error(`there is no account "${accountId}"`));
    if (account.sellerId !== null && account.sellerId !== seller.sellerId) {
      return { kind: 'other_seller', boundTo: account.sellerId };
    }
    try {
      const updated = await db
        .updateTable('accounts')
        .set({ sellerId: seller.sellerId, sellerLogin: seller.login })
        .where('id', '=', accountId)
        .where((eb) => eb.or([eb('sellerId', 'is', null), eb('sellerId', '=', seller.sellerId)]))
        .executeTakeFirst();
      // Bound to another seller since it was read: ask again.
      if (updated.numUpdatedRows === 0n) return await bindSeller(accountId, seller, generation);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const holder = await db
        .selectFrom('accounts')
        .select('id')
        .where('sellerId', '=', seller.sellerId)
        .executeTakeFirst();
      return { kind: 'taken', by: toAccountId(holder?.id ?? accountId) };
    }
    if (generation !== undefined) {
      await db
        .updateTable('accountTokens')
        .set({ sellerChecked: true })
        .where('accountId', '=', accountId)
        .where('generation', '=', generation)
        .execute();
    }
    return { kind: account.sellerId === null ? 'bound' : 'same' };
  }

  return {
    read: (accountId) => withDatabaseErrors(() => read(accountId)),
    withRefreshLock: (accountId, work) =>
      withAdvisoryLock(databaseUrl, { space: TOKEN_REFRESH_LOCK, name: accountId }, work),
    markRefreshStarted: (accountId, generation) =>
      withDatabaseErrors(async () => {
        await db
          .updateTable('accountTokens')
          // The first start is kept: the used token stays valid for 60 s from then.
          .set({ refreshStartedAt: sql<Date>`coalesce(refresh_started_at, now())` })
          .where('accountId', '=', accountId)
          .where('generation', '=', generation)
          .execute();
      }),
    replace: (accountId, expectedGeneration, pair, origin = 'login') =>
      withDatabaseErrors(async () => {
        const isStored = await replace(accountId, expectedGeneration, pair, origin);
        if (isStored && origin === 'login') await endLoginPause(accountId);
        return isStored;
      }),
    pauseForLogin: (accountId, reason) =>
      withDatabaseErrors(async () => {
        await db
          .updateTable('accounts')
          .set({ pausedReason: `${LOGIN_NEEDED}${reason}`, pausedAt: new Date() })
          .where('id', '=', accountId)
          .where('pausedReason', 'is', null)
          .execute();
      }),
    readSeller: (accountId) =>
      withDatabaseErrors(async () => {
        const row = await db.selectFrom('accounts').select('sellerId').where('id', '=', accountId).executeTakeFirst();
        return row?.sellerId == null ? null : toSellerId(row.sellerId);
      }),
    bindSeller: (accountId, seller, generation) => withDatabaseErrors(() => bindSeller(accountId, seller, generation)),
  };
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}
