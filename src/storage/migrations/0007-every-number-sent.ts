import { sql, type Kysely } from 'kysely';

/** A number that overtakes another one no longer takes its place in the history. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table offer_changes add column sent_before integer[] not null default '{}'`.execute(db);
}
