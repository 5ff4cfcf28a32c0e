import { sql } from 'kysely';
import { toAccountId, type AccountId } from '../domain/ids.js';
import type { Db } from './database.js';

interface AccountHead {
  readonly accountId: AccountId;
  readonly name: string;
  readonly mode: 'preview' | 'live';
}

/** Accounts that are not paused, by id. */
export async function listActiveAccounts(db: Db): Promise<AccountHead[]> {
  const rows = await db
    .selectFrom('accounts')
    .select(['id', 'name', 'mode'])
    .where('pausedReason', 'is', null)
    .orderBy('id')
    .execute();
  return rows.map(({ id, ...rest }) => ({ accountId: toAccountId(id), ...rest }));
}

/** These accounts, paused or not; ids that do not exist are left out. */
export async function listAccountNames(db: Db, accountIds: readonly AccountId[]): Promise<AccountHead[]> {
  if (accountIds.length === 0) return [];
  const rows = await db
    .selectFrom('accounts')
    .select(['id', 'name', 'mode'])
    .where('id', 'in', accountIds)
    .orderBy('id')
    .execute();
  return rows.map(({ id, ...rest }) => ({ accountId: toAccountId(id), ...rest }));
}

/** Counts a tick at which the account was still at work, or ends the count. null: the account is gone. */
export async function countBusyTick(
  db: Db,
  accountId: AccountId,
  isBusy: boolean,
): Promise<{ busyTicks: number; accountName: string } | null> {
  const row = await db
    .updateTable('accounts')
    .set({ busyTicks: isBusy ? sql<number>`busy_ticks + 1` : 0 })
    .where('id', '=', accountId)
    .returning(['busyTicks', 'name'])
    .executeTakeFirst();
  return row === undefined ? null : { busyTicks: row.busyTicks, accountName: row.name };
}
