import { sql } from 'kysely';
import type { Db } from './database.js';

/** One number of one SKU in one warehouse, as an import brings it. */
export interface StockEntry {
  readonly sku: string;
  readonly warehouse: string;
  /** 0 – 999,999,999 */
  readonly quantity: number;
}

export interface StockRecord extends StockEntry {
  /** When the number last changed, whoever wrote it. */
  readonly updatedAt: Date;
}

export interface StockImport {
  readonly entries: readonly StockEntry[];
  /** Present: the entries are all there is in these warehouses; every other SKU there goes to 0. */
  readonly complete?: {
    readonly warehouses: readonly string[];
    /** SKUs whose number is not known: they keep what they have. */
    readonly unclear: readonly { readonly sku: string; readonly warehouse: string }[];
  };
}

export interface StockImportResult {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  /** Were not in the file and went to 0; only with `complete`. */
  readonly zeroed: number;
}

/** Rows per statement: one array parameter each, so large chunks cost little and stay below the protocol's limits. */
const CHUNK_ROWS = 50_000;

/** The SKU's rows, by warehouse; empty: the SKU is not in the stock. */
export async function readStockRecords(db: Db, sku: string): Promise<StockRecord[]> {
  return db
    .selectFrom('stockLevels')
    .select(['sku', 'warehouse', 'quantity', 'updatedAt'])
    .where('sku', '=', sku)
    .orderBy('warehouse')
    .execute();
}

/** @returns the first `limit` rows by SKU, and how many there are */
export async function listStock(
  db: Db,
  page: { warehouse?: string; limit: number },
): Promise<{ records: StockRecord[]; totalCount: number }> {
  let rows = db.selectFrom('stockLevels');
  if (page.warehouse !== undefined) rows = rows.where('warehouse', '=', page.warehouse);
  const records = await rows
    .select(['sku', 'warehouse', 'quantity', 'updatedAt'])
    .orderBy('sku')
    .orderBy('warehouse')
    .limit(page.limit)
    .execute();
  const { count } = await rows.select((eb) => eb.fn.countAll<string>().as('count')).executeTakeFirstOrThrow();
  return { records, totalCount: Number(count) };
}

/** @returns the number it replaced; null: the row is new */
export async function setStock(db: Db, entry: StockEntry): Promise<number | null> {
  return db.transaction().execute(async (transaction) => {
    const before = await transaction
      .selectFrom('stockLevels')
      .select('quantity')
      .where('sku', '=', entry.sku)
      .where('warehouse', '=', entry.warehouse)
      .forUpdate()
      .executeTakeFirst();
    await transaction
      .insertInto('stockLevels')
      .values(entry)
      .onConflict((conflict) => conflict.columns(['sku', 'warehouse']).doUpdateSet({ quantity: entry.quantity }))
      .execute();
    return before?.quantity ?? null;
  });
}

/** The SKUs of these that neither the stock nor any offer seen so far has. */
export async function findUnknownSkus(db: Db, skus: readonly string[]): Promise<string[]> {
  const known = await db
    .selectFrom('stockLevels')
    .select('sku')
    .where('sku', 'in', [...skus])
    .union(
      db
        .selectFrom('offers')
        .select((eb) => eb.ref('sku').$notNull().as('sku'))
        .where('sku', 'in', [...skus]),
    )
    .execute();
  const knownSkus = new Set(known.map((row) => row.sku));
  return skus.filter((sku) => !knownSkus.has(sku));
}

/**
 * Merges an import into the stock in one transaction: all of it or nothing. Rows whose number stays the same are not
 * touched, so their `updated_at` stays. Of 1,000,000 rows new ones take some 15 s and changed ones 35 s, on two busy cores.
 */
export async function importStock(db: Db, stock: StockImport): Promise<StockImportResult> {
  return db.transaction().execute(async (transaction) => {
    // The pool's limit on a statement is meant for single rows, not for a whole warehouse.
    await sql`set local statement_timeout = 0`.execute(transaction);
    await sql`
      create temporary table imported_stock (sku text not null, warehouse text not null, quantity integer)
      on commit drop`.execute(transaction);
    await fillImported(transaction, stock);
    await sql`analyze imported_stock`.execute(transaction);

    const merged = await sql<{ added: string; changed: string }>`
      with merged as (
        insert into stock_levels (sku, warehouse, quantity)
        -- In one order, so that two imports at once wait for each other instead of deadlocking.
        select new.sku, new.warehouse, new.quantity
        from imported_stock new
        left join stock_levels old on old.sku = new.sku and old.warehouse = new.warehouse
        -- Most rows of most imports change nothing: left out here, they are neither locked nor written.
        where new.quantity is not null and old.quantity is distinct from new.quantity
        order by new.sku, new.warehouse
        on conflict (sku, warehouse) do update set quantity = excluded.quantity
        where stock_levels.quantity <> excluded.quantity
        returning xmax = 0 as is_new
      )
      select count(*) filter (where is_new) as added, count(*) filter (where not is_new) as changed from merged`.execute(
      transaction,
    );
    const added = Number(merged.rows[0]?.added ?? 0);
    const changed = Number(merged.rows[0]?.changed ?? 0);
    const zeroed = stock.complete === undefined ? 0 : await zeroOthers(transaction, stock.complete.warehouses);
    return { added, changed, unchanged: stock.entries.length - added - changed, zeroed };
  });
}

async function fillImported(transaction: Db, stock: StockImport): Promise<void> {
  const unclear = (stock.complete?.unclear ?? []).map((named) => ({ ...named, quantity: null }));
  for (const rows of [stock.entries, unclear]) {
    for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
      const chunk = rows.slice(start, start + CHUNK_ROWS);
      await sql`
        insert into imported_stock
        select * from unnest(
          ${chunk.map((row) => row.sku)}::text[],
          ${chunk.map((row) => row.warehouse)}::text[],
          ${chunk.map((row) => row.quantity)}::integer[])`.execute(transaction);
    }
  }
}

async function zeroOthers(transaction: Db, warehouses: readonly string[]): Promise<number> {
  const zeroed = await transaction
    .updateTable('stockLevels')
    .set({ quantity: 0 })
    .where('warehouse', 'in', [...warehouses])
    .where('quantity', '<>', 0)
    .where(
      sql<boolean>`not exists (
        select from imported_stock
        where imported_stock.sku = stock_levels.sku and imported_stock.warehouse = stock_levels.warehouse)`,
    )
    .executeTakeFirst();
  return Number(zeroed.numUpdatedRows);
}
