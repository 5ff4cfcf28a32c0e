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

/** Counts a tick at which these accounts were still at work, once: those of which it was counted already come back as they are. */
export async function countBusyTicks(
  db: Db,
  accountIds: readonly AccountId[],
  tick: string,
): Promise<{ accountId: AccountId; name: string; busyTicks: number }[]> {
  if (accountIds.length === 0) return [];
  const rows = await db
    .updateTable('accounts')
    .set({
      busyTicks: sql<number>`busy_ticks + case when busy_tick = ${tick} then 0 else 1 end`,
      busyTick: tick,
    })
    .where('id', 'in', accountIds)
    .returning(['id', 'name', 'busyTicks'])
    .execute();
  return rows.map(({ id, ...rest }) => ({ accountId: toAccountId(id), ...rest }));
}

export async function resetBusyTicks(db: Db, accountIds: readonly AccountId[]): Promise<void> {
  if (accountIds.length === 0) return;
  await db
    .updateTable('accounts')
    .set({ busyTicks: 0 })
    .where('id', 'in', accountIds)
    .where('busyTicks', '>', 0)
    .execute();
}
