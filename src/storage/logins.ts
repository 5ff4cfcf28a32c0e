import { sql } from 'kysely';
import { toAccountId, type AccountId } from '../domain/ids.js';
import type { Db } from './database.js';
import { LOGIN_NEEDED } from './token-store.js';

/** The stored login of an account that does not wait for a new one. */
export interface StoredLogin {
  readonly accountId: AccountId;
  readonly accountName: string;
  /** When its tokens were stored: a refresh token that is not used dies three months later. */
  readonly storedAt: Date;
}

/** The oldest first. */
export async function readLogins(db: Db): Promise<StoredLogin[]> {
  const { rows } = await sql<{ accountId: string; accountName: string; storedAt: Date }>`
    select a.id as account_id, a.name as account_name, t.stored_at
    from account_tokens t join accounts a on a.id = t.account_id
    where a.paused_reason is null or not starts_with(a.paused_reason, ${LOGIN_NEEDED})
    order by t.stored_at, a.id`.execute(db);
  return rows.map((row) => ({ ...row, accountId: toAccountId(row.accountId) }));
}

/** Incidents of this class that tell of the accounts themselves; of several of an account the newest. */
export async function readToldOfAccounts(
  db: Db,
  errorClass: string,
): Promise<ReadonlyMap<string, { readonly isOpen: boolean; readonly lastSeenAt: Date }>> {
  const { rows } = await sql<{ accountId: string; isOpen: boolean; lastSeenAt: Date }>`
    select account_id, bool_or(state = 'open') as is_open, max(last_seen_at) as last_seen_at
    from incidents where class = ${errorClass} and account_id is not null and offer_id is null
    group by account_id`.execute(db);
  return new Map(rows.map(({ accountId, ...told }) => [accountId, told]));
}
