import { sql, type Kysely } from 'kysely';

/** Whether the pair's seller was compared with the account's: true for the pairs that a refresh of such a pair gives. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table account_tokens add column seller_checked boolean not null default false`.execute(db);
}
