import { sql, type Kysely } from 'kysely';

/** What the guards on rises and on the stock table measure against. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table accounts
      -- Pieces that the active offers showed after the last complete run.
      add column last_complete_pieces bigint,
      -- The stock table at the last complete run that did not find it much smaller or emptier than before.
      add column stock_rows integer,
      add column stock_filled integer,
      add column stock_counted_at timestamptz,
      add column first_complete_live_at timestamptz`.execute(db);
  await sql`
    update accounts a set first_complete_live_at = r.started_at
    from (select account_id, min(started_at) as started_at from sync_runs
      where mode = 'live' and is_complete and skus is null and state = 'closed' group by account_id) r
    where r.account_id = a.id`.execute(db);
  // What the guard on endings alone had stored.
  await sql`update sync_runs set guard = null`.execute(db);
}
