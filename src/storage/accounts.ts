import { sql, type Selectable } from 'kysely';
import type { Account, AccountMode, AccountSettings } from '../domain/account.js';
import { toAccountId, toSellerId, type AccountId } from '../domain/ids.js';
import type { Db } from './database.js';
import type { AccountsTable } from './schema.js';

/** What `accounts set` may change; absent fields stay as they are. */
export interface AccountChanges extends Partial<AccountSettings> {
  readonly mode?: AccountMode;
  readonly name?: string;
}

/** An account with what only people look at. */
export interface AccountRecord extends Account {
  readonly createdAt: Date;
  readonly pausedAt: Date | null;
  /** When it was first set to `live`. */
  readonly liveSince: Date | null;
  /** When the last run that saw every offer began. */
  readonly lastCompleteAt: Date | null;
  readonly hasTokens: boolean;
}

type AccountRow = Selectable<AccountsTable>;

function toAccount(row: AccountRow): Account {
  return {
    accountId: toAccountId(row.id),
    name: row.name,
    mode: row.mode,
    sellerId: row.sellerId === null ? null : toSellerId(row.sellerId),
    sellerLogin: row.sellerLogin,
    pausedReason: row.pausedReason,
    buffer: row.buffer,
    max: row.maxQuantity,
    raise: row.raise,
    lower: row.lower,
    reactivate: row.reactivate,
    atZero: row.atZero,
  };
}

/** A new account: in `preview`, not authorized, with the default settings. @returns false when the id is taken */
export async function addAccount(
  db: Db,
  account: { accountId: AccountId; name: string; mode?: AccountMode },
): Promise<boolean> {
  const mode = account.mode ?? 'preview';
  const inserted = await db
    .insertInto('accounts')
    .values({ id: account.accountId, name: account.name, mode, liveSince: mode === 'live' ? new Date() : null })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** null: there is no such account. */
export async function readAccount(db: Db, accountId: AccountId): Promise<Account | null> {
  const row = await db.selectFrom('accounts').selectAll().where('id', '=', accountId).executeTakeFirst();
  return row === undefined ? null : toAccount(row);
}

/** All accounts by id, or those asked for that exist. */
export async function listAccounts(db: Db, accountIds?: readonly AccountId[]): Promise<AccountRecord[]> {
  let query = db
    .selectFrom('accounts')
    .leftJoin('accountTokens', 'accountTokens.accountId', 'accounts.id')
    .selectAll('accounts')
    .select('accountTokens.generation')
    .orderBy('accounts.id');
  if (accountIds !== undefined) query = query.where('accounts.id', 'in', [...accountIds]);
  const rows = await query.execute();
  return rows.map((row) => ({
    ...toAccount(row),
    createdAt: row.createdAt,
    pausedAt: row.pausedAt,
    liveSince: row.liveSince,
    lastCompleteAt: row.lastCompleteAt,
    hasTokens: row.generation !== null,
  }));
}

/** @returns false when there is no such account */
export async function changeAccount(db: Db, accountId: AccountId, changes: AccountChanges): Promise<boolean> {
  const { max, mode, ...sameName } = changes;
  const updated = await db
    .updateTable('accounts')
    .set({
      ...sameName,
      ...(max === undefined ? {} : { maxQuantity: max }),
      ...(mode === undefined ? {} : { mode }),
      // The age of the last complete run counts from here, until there is one.
      ...(mode === 'live' ? { liveSince: sql<Date>`coalesce(live_since, now())` } : {}),
      // An update that sets nothing is not valid SQL.
      id: accountId,
    })
    .where('id', '=', accountId)
    .executeTakeFirst();
  return updated.numUpdatedRows > 0n;
}

/** @returns false when there is no such account */
export async function pauseAccount(db: Db, accountId: AccountId, reason: string): Promise<boolean> {
  const updated = await db
    .updateTable('accounts')
    .set({ pausedReason: reason, pausedAt: new Date() })
    .where('id', '=', accountId)
    .executeTakeFirst();
  return updated.numUpdatedRows > 0n;
}

/** @returns false when there is no such account */
export async function resumeAccount(db: Db, accountId: AccountId): Promise<boolean> {
  const updated = await db
    .updateTable('accounts')
    .set({ pausedReason: null, pausedAt: null, unopenedClass: null })
    .where('id', '=', accountId)
    .executeTakeFirst();
  return updated.numUpdatedRows > 0n;
}

/**
 * First half of a removal: pauses the account and raises its fence, so that a run at work marks nothing as sending any
 * more. @returns false when there is no such account
 */
export async function fenceOffAccount(db: Db, accountId: AccountId, reason: string): Promise<boolean> {
  const updated = await db
    .updateTable('accounts')
    .set((eb) => ({ pausedReason: reason, pausedAt: new Date(), fence: eb('fence', '+', 1) }))
    .where('id', '=', accountId)
    .executeTakeFirst();
  return updated.numUpdatedRows > 0n;
}

/** Deletes the account with its tokens, offers, runs, changes and incidents. @returns false when there is none */
export async function deleteAccount(db: Db, accountId: AccountId): Promise<boolean> {
  const deleted = await db.deleteFrom('accounts').where('id', '=', accountId).executeTakeFirst();
  return deleted.numDeletedRows > 0n;
}
