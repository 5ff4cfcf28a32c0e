import { sql, type Kysely } from 'kysely';

/** What the next run or the next worker would otherwise take for news, or not know of. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // A number that overtakes another one does not take its place in the history.
  await sql`alter table offer_changes add column sent_before integer[] not null default '{}'`.execute(db);
  // Class of the problem that kept the account's last run from being opened, which leaves no row of the run.
  await sql`alter table accounts add column unopened_class text`.execute(db);
  // Tells a Schedule that was made anew, and counts from nothing, from a look that comes late.
  await sql`alter table schedule_ticks add column made_at timestamptz`.execute(db);
}
