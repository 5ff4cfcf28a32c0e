import { sql, type Kysely } from 'kysely';

/** What writing needs: commands with a number for each offer, which ending was sent, and who has used an approval. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table commands
      drop constraint commands_kind_check,
      add constraint commands_kind_check check (kind in ('quantity', 'bulk', 'end')),
      -- bulk: the number of each offer, in the order of offer_ids.
      add column quantities jsonb`.execute(db);
  await sql`create index commands_run on commands (run_id)`.execute(db);

  await sql`
    alter table offer_changes
      drop constraint offer_changes_route_check,
      -- bulk: one of several with a number each, in one command.
      add constraint offer_changes_route_check check (route in ('patch', 'command', 'bulk', 'end_command')),
      -- What was sent last ends the offer by its publication status, and not by a zero.
      add column ends_by_status boolean not null default false`.execute(db);
  await sql`
    create index offer_changes_command on offer_changes (command_id) where command_id is not null`.execute(db);

  await sql`alter table approvals add column used_by uuid`.execute(db);
  await sql`create index approvals_run on approvals (run_id)`.execute(db);

  // Until then commands with a number for each offer are not tried: the marketplace said that it has none.
  await sql`alter table accounts add column bulk_retry_at timestamptz`.execute(db);
}
