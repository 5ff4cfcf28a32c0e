import { sql, type Kysely } from 'kysely';

/** What reading remembers: how an offer came to stand at nothing, offers that have gone, and sales told by events. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table offers
      -- Set while the offer shows no pieces: whether a sale or our own zero explains it, and \`sold\` from before.
      add column ending_explained boolean,
      add column sold_before_ending integer,
      -- The marketplace does not know it any more.
      add column gone_at timestamptz,
      -- When it was last asked for because the listing did not show it.
      add column looked_at timestamptz`.execute(db);
  // What stood at nothing before this was remembered counts as explained.
  await sql`
    update offers set ending_explained = true, sold_before_ending = sold
    where status = 'ENDED' or available = 0`.execute(db);
  // To tell a sale from a number that somebody else has set.
  await sql`alter table offer_changes add column sold_before integer`.execute(db);

  await sql`
    create table sales (
      account_id text not null references accounts on delete cascade,
      -- The line of the order: the same however often it is told.
      key text not null,
      offer_id text not null,
      sku text not null,
      quantity integer not null,
      bought_at timestamptz not null,
      primary key (account_id, key)
    )`.execute(db);
  await sql`create index sales_sku on sales (sku, bought_at desc)`.execute(db);
  await sql`
    create table sale_cursors (
      account_id text primary key references accounts on delete cascade,
      -- null: nothing has been read yet.
      cursor text,
      read_at timestamptz not null default now(),
      -- The class of the last failure; null: the last reading went well.
      error_class text,
      error_message text
    )`.execute(db);
}
