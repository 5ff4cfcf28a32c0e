import { sql, type Kysely } from 'kysely';

/** What telling a person, leaving a rejected offer alone, and trusting the listing rest on. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Set on the message that was refused with it: until then nothing is sent.
  await sql`alter table outbox add column blocked_until timestamptz`.execute(db);
  // The tick that was counted last, so that none counts twice.
  await sql`alter table accounts add column busy_tick text`.execute(db);
  // What the Schedule had lost and started when somebody looked last.
  await sql`
    create table schedule_ticks (
      only_row boolean primary key default true check (only_row),
      lost integer not null,
      started integer not null
    )`.execute(db);
  // Digest of what the listing shows beside number and status.
  await sql`alter table offers add column listed_as text`.execute(db);
  await sql`alter table quarantined_offers add column listed_as text`.execute(db);
  // The SKU that is trusted: the listing's may be another offer's until the offer itself was asked.
  await sql`alter table offers add column known_sku text`.execute(db);
  await sql`update offers set known_sku = sku`.execute(db);
  // Given up without a known outcome, and not read since.
  await sql`
    create index offer_changes_given_up on offer_changes (account_id)
    where state = 'rejected' and error_class = 'OutcomeUnknown' and reason is distinct from 'read_later'`.execute(db);
}
