import { sql, type Kysely } from 'kysely';

/**
 * The first schema. Three tables are a contract with the outside: `stock_levels` (docs/stock.md), `accounts` and
 * `offer_changes` (read by reports); the others are ours to change.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table accounts (
      id text primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
      name text not null,
      mode text not null default 'preview' check (mode in ('preview', 'live')),
      seller_id text,
      seller_login text,
      paused_reason text,
      paused_at timestamptz,
      -- Raised by every run; a row is marked as sending only by the run that holds the newest fence.
      fence integer not null default 0,
      buffer integer not null default 0 check (buffer >= 0),
      max_quantity integer check (max_quantity >= 1),
      raise boolean not null default true,
      lower boolean not null default true,
      reactivate boolean not null default true,
      at_zero text not null default 'end' check (at_zero in ('end', 'one', 'keep')),
      last_complete_at timestamptz,
      -- Active offers of the last complete scan: what the guard on endings measures against.
      last_complete_active integer,
      -- Ticks in a row at which a run of this account was still at work.
      busy_ticks integer not null default 0,
      created_at timestamptz not null default now(),
      live_since timestamptz
    )`.execute(db);
  await sql`create unique index accounts_seller on accounts (seller_id) where seller_id is not null`.execute(db);

  await sql`
    create table account_tokens (
      account_id text primary key references accounts on delete cascade,
      generation integer not null,
      key_id text not null,
      access_token bytea not null,
      refresh_token bytea not null,
      access_expires_at timestamptz not null,
      stored_at timestamptz not null default now(),
      refresh_started_at timestamptz
    )`.execute(db);

  await sql`
    create table stock_levels (
      sku text not null check (sku = btrim(sku) and sku <> ''),
      warehouse text not null default 'main' check (warehouse <> ''),
      quantity integer not null check (quantity >= 0),
      updated_at timestamptz not null default now(),
      primary key (sku, warehouse)
    )`.execute(db);
  // updated_at tells when the number changed, whoever writes it: the unbooked-sale rule rests on it.
  await sql`
    create function stock_levels_touch() returns trigger language plpgsql as $$
    begin
      if tg_op = 'UPDATE' and new.quantity = old.quantity then
        new.updated_at := old.updated_at;
      else
        new.updated_at := clock_timestamp();
      end if;
      return new;
    end $$`.execute(db);
  await sql`
    create trigger stock_levels_touch before insert or update on stock_levels
    for each row execute function stock_levels_touch()`.execute(db);

  await sql`
    create table offers (
      account_id text not null references accounts on delete cascade,
      offer_id text not null,
      sku text,
      name text not null,
      format text not null,
      status text not null,
      available integer not null,
      sold integer not null,
      is_fulfillment boolean not null,
      ended_at timestamptz,
      -- Who ended it, remembered for that ended_at: the listing does not tell, and asking costs a request.
      ended_by text,
      ended_by_for timestamptz,
      -- Our own ending (a publication END says USER): such an offer may be reactivated.
      ended_by_us_at timestamptz,
      -- The number we know the marketplace to show, from a scan or a confirmed write, and from when.
      known_available integer not null,
      known_at timestamptz not null,
      -- What it was before our last confirmed write: the listing may go on showing this for hours.
      before_write integer,
      before_write_status text,
      written_at timestamptz,
      unbooked_since timestamptz,
      unbooked_stock_at timestamptz,
      had_stock boolean not null default false,
      last_run_id uuid,
      bucket text not null,
      reason text,
      seen_at timestamptz not null,
      primary key (account_id, offer_id)
    ) with (fillfactor = 70)`.execute(db);
  await sql`create index offers_sku on offers (sku, account_id)`.execute(db);

  await sql`
    create table excluded_offers (
      account_id text not null references accounts on delete cascade,
      offer_id text not null,
      reason text,
      created_at timestamptz not null default now(),
      primary key (account_id, offer_id)
    )`.execute(db);

  await sql`
    create table quarantined_offers (
      account_id text not null references accounts on delete cascade,
      offer_id text not null,
      error_class text not null,
      error_code text,
      message text not null,
      rejections integer not null default 1,
      since timestamptz not null default now(),
      retry_at timestamptz not null,
      -- As they were when it was rejected: a change of either ends the quarantine at once.
      available integer not null,
      status text not null,
      target integer not null,
      primary key (account_id, offer_id)
    )`.execute(db);

  await sql`
    create table sync_runs (
      id uuid primary key,
      account_id text not null references accounts on delete cascade,
      -- The run of syncAllAccounts it belongs to, or its own id.
      group_id uuid not null,
      workflow_id text not null,
      -- The first execution of the chain: a retried openRun finds its row by it.
      execution_id text not null unique,
      trigger text not null,
      mode text not null check (mode in ('preview', 'live')),
      skus jsonb,
      fence integer not null,
      state text not null default 'open' check (state in ('open', 'closed')),
      outcome text,
      failure jsonb,
      is_complete boolean not null default false,
      seen integer,
      total_count integer,
      buckets jsonb,
      skipped jsonb,
      failed jsonb,
      held jsonb,
      guard jsonb,
      requests integer not null default 0,
      batches integer not null default 0,
      started_at timestamptz not null default now(),
      finished_at timestamptz
    )`.execute(db);
  await sql`create index sync_runs_account on sync_runs (account_id, started_at desc)`.execute(db);
  await sql`create index sync_runs_group on sync_runs (group_id)`.execute(db);

  await sql`
    create table offer_changes (
      run_id uuid not null references sync_runs on delete cascade,
      offer_id text not null,
      account_id text not null,
      sku text not null,
      kind text not null check (kind in ('end', 'lower', 'reactivate', 'raise')),
      state text not null check (state in
        ('planned', 'sending', 'confirmed', 'rejected', 'unknown', 'superseded', 'held', 'in_sync')),
      reason text,
      -- patch: its own request. command: one of many with the same value.
      route text not null default 'patch' check (route in ('patch', 'command', 'end_command')),
      batch integer,
      command_id uuid,
      value_before integer not null,
      status_before text not null,
      target integer not null,
      value_sent integer,
      attempts integer not null default 0,
      operation text,
      error_class text,
      error_code text,
      error_message text,
      answer jsonb,
      planned_at timestamptz not null default now(),
      sent_at timestamptz,
      settled_at timestamptz,
      primary key (run_id, offer_id)
    )`.execute(db);
  await sql`create index offer_changes_offer on offer_changes (account_id, offer_id, planned_at desc)`.execute(db);
  await sql`create index offer_changes_sku on offer_changes (sku, planned_at desc)`.execute(db);
  await sql`
    create index offer_changes_open on offer_changes (account_id)
    where state in ('sending', 'unknown')`.execute(db);

  await sql`
    create table commands (
      id uuid primary key,
      account_id text not null references accounts on delete cascade,
      run_id uuid not null references sync_runs on delete cascade,
      kind text not null check (kind in ('quantity', 'end')),
      quantity integer,
      offer_ids jsonb not null,
      state text not null default 'planned' check (state in ('planned', 'sent', 'accepted', 'complete', 'failed', 'superseded')),
      priority integer not null,
      error_class text,
      error_message text,
      created_at timestamptz not null default now(),
      sent_at timestamptz,
      settled_at timestamptz
    )`.execute(db);
  await sql`create index commands_open on commands (account_id) where state in ('sent', 'accepted')`.execute(db);

  await sql`
    create table approvals (
      id bigint generated always as identity primary key,
      account_id text not null references accounts on delete cascade,
      run_id uuid not null references sync_runs on delete cascade,
      offer_id text not null,
      target integer not null,
      expires_at timestamptz not null,
      used_at timestamptz
    )`.execute(db);
  await sql`create index approvals_open on approvals (account_id) where used_at is null`.execute(db);

  await sql`
    create table incidents (
      id bigint generated always as identity primary key,
      account_id text references accounts on delete cascade,
      offer_id text,
      class text not null,
      title text not null,
      details jsonb not null default '{}',
      state text not null default 'open' check (state in ('open', 'resolved')),
      occurrences integer not null default 1,
      run_id uuid,
      opened_at timestamptz not null default now(),
      last_seen_at timestamptz not null default now(),
      resolved_at timestamptz
    )`.execute(db);
  await sql`
    create unique index incidents_open on incidents (coalesce(account_id, ''), coalesce(offer_id, ''), class)
    where state = 'open'`.execute(db);

  await sql`
    create table outbox (
      id bigint generated always as identity primary key,
      -- One message per problem: a second try to add the same one changes nothing.
      dedupe_key text not null unique,
      message jsonb not null,
      created_at timestamptz not null default now(),
      sent_at timestamptz,
      attempts integer not null default 0,
      retry_at timestamptz not null default now(),
      last_error text
    )`.execute(db);
  await sql`create index outbox_waiting on outbox (retry_at) where sent_at is null`.execute(db);

  // One row: the global stop of all writes.
  await sql`
    create table stop_switch (
      only_row boolean primary key default true check (only_row),
      is_stopped boolean not null default false,
      reason text,
      changed_at timestamptz not null default now()
    )`.execute(db);
  await sql`insert into stop_switch default values`.execute(db);
}
