import { sql, type Kysely } from 'kysely';

/** What telling a person, leaving a rejected offer alone, and trusting the listing rest on. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Meant for single rows, not for a history of millions.
  await sql`set local statement_timeout = 0`.execute(db);
  // Given up without a known outcome, and not read since. Of what was given up until now nobody asks any more.
  await sql`
    update offer_changes set reason = 'read_later' where state = 'rejected' and value_sent is not null`.execute(db);
  await sql`
    create index offer_changes_given_up on offer_changes (account_id)
    where state = 'rejected' and value_sent is not null and reason is distinct from 'read_later'`.execute(db);
  // Kept when another number is sent after it: an ending that took place was ours all the same.
  await sql`
    alter table offer_changes add column zero_sent_at timestamptz, add column end_sent_at timestamptz`.execute(db);
  await sql`
    alter table offers
      -- The SKU that is trusted: the listing's may be another offer's until the offer itself was asked.
      add column known_sku text,
      -- Digest of what the listing shows beside number and status.
      add column listed_as text`.execute(db);
  await sql`update offers set known_sku = sku`.execute(db);
  await sql`alter table quarantined_offers add column listed_as text`.execute(db);
  // The tick that was counted last, so that none counts twice.
  await sql`alter table accounts add column busy_tick text`.execute(db);
  // Set on the message that was refused with it: until then nothing is sent.
  await sql`alter table outbox add column blocked_until timestamptz`.execute(db);
  // What the Schedule had lost and started when somebody looked last.
  await sql`
    create table schedule_ticks (
      only_row boolean primary key default true check (only_row),
      lost integer not null,
      started integer not null
    )`.execute(db);
}
