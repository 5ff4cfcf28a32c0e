import { sql } from 'kysely';
import { toAccountId, toOfferId, toSku, type AccountId, type OfferId, type RunId, type Sku } from '../domain/ids.js';
import type { Sale } from '../domain/marketplace-events.js';
import type { Db } from './database.js';
import { toStoredText } from './stored-text.js';

type Run = { readonly runId: RunId; readonly accountId: AccountId };

/** An account whose sales are to be asked for. */
export interface SaleSource {
  readonly accountId: AccountId;
  /** null: from the oldest that the marketplace keeps. */
  readonly cursor: string | null;
  /** Class of the last failure; null: the last reading went well. */
  readonly errorClass: string | null;
}

/** SKUs of which this run is about to show more pieces than before. */
export async function readSkusToRaise(db: Db, run: Run): Promise<Sku[]> {
  const rows = await db
    .selectFrom('offerChanges')
    .select('sku')
    .distinct()
    .where('runId', '=', run.runId)
    .where('state', '=', 'planned')
    .where('kind', 'in', ['raise', 'reactivate'])
    .execute();
  return rows.flatMap((row) => toSku(row.sku) ?? []);
}

/**
 * Accounts that sell one of these SKUs and may be asked for it: logged in, not paused. One whose login does not allow it
 * is asked again after its next token.
 */
export async function readSaleSources(db: Db, skus: readonly Sku[]): Promise<SaleSource[]> {
  const { rows } = await sql<{ accountId: string; cursor: string | null; errorClass: string | null }>`
    select a.id as account_id, c.cursor, c.error_class
    from accounts a join account_tokens t on t.account_id = a.id left join sale_cursors c on c.account_id = a.id
    where a.paused_reason is null
      and exists (select from offers o where o.account_id = a.id and o.sku = any(${[...skus]}::text[]))
      and not (c.error_class is not null and c.error_class in ('AccountRefused', 'AccessDenied')
        and c.read_at >= t.stored_at)
    order by a.id`.execute(db);
  return rows.map((row) => ({ ...row, accountId: toAccountId(row.accountId) }));
}

/**
 * Stores a page of sales and the place where the next one begins, in one transaction. A sale that is known already, or
 * was bought before `since`, changes nothing.
 */
export async function recordSales(
  db: Db,
  accountId: AccountId,
  page: { readonly sales: readonly Sale[]; readonly cursor: string | null; readonly since: Date },
): Promise<void> {
  const rows = page.sales.flatMap(({ key, offerId, sku, quantity, boughtAt }) =>
    sku === null || Date.parse(boughtAt) < page.since.getTime()
      ? []
      : [{ accountId, key: toStoredText(key), offerId, sku, quantity, boughtAt: new Date(boughtAt) }],
  );
  await db.transaction().execute(async (trx) => {
    if (rows.length > 0) {
      await trx
        .insertInto('sales')
        .values(rows)
        .onConflict((conflict) => conflict.columns(['accountId', 'key']).doNothing())
        .execute();
    }
    const state = { cursor: page.cursor, readAt: new Date(), errorClass: null, errorMessage: null };
    await trx
      .insertInto('saleCursors')
      .values({ accountId, ...state })
      .onConflict((conflict) => conflict.column('accountId').doUpdateSet({ ...state, readAt: sql<Date>`now()` }))
      .execute();
  });
}

/** Remembers why an account's sales could not be read. `isCursorLost`: it is read from the oldest next time. */
export async function recordSaleFailure(
  db: Db,
  accountId: AccountId,
  failure: { readonly errorClass: string; readonly message: string; readonly isCursorLost: boolean },
): Promise<void> {
  const errorMessage = toStoredText(failure.message);
  await sql`
    insert into sale_cursors as c (account_id, error_class, error_message)
    values (${accountId}, ${failure.errorClass}, ${errorMessage})
    on conflict (account_id) do update set read_at = now(), error_class = excluded.error_class,
      error_message = excluded.error_message,
      cursor = case when not ${failure.isCursorLost}::boolean then c.cursor end`.execute(db);
}

/**
 * Holds the planned raises and returns of SKUs of which pieces were bought, in any account, since their stock row
 * changed, unless that was longer ago than patience lasts.
 */
export async function holdForSales(db: Db, run: Run, patienceSeconds: number): Promise<OfferId[]> {
  const { rows } = await sql<{ offerId: string }>`
    with planned as (
      select distinct sku from offer_changes
      where run_id = ${run.runId} and state = 'planned' and kind in ('raise', 'reactivate')
    ), stock as (
      select p.sku, max(l.updated_at) as updated_at from planned p join stock_levels l on l.sku = p.sku group by p.sku
    )
    update offer_changes c set state = 'held', reason = 'unbooked_sale', settled_at = clock_timestamp()
    from stock s
    where c.run_id = ${run.runId} and c.state = 'planned' and c.kind in ('raise', 'reactivate') and c.sku = s.sku
      and exists (
        select from sales e where e.sku = s.sku and e.bought_at > s.updated_at
          and e.bought_at > clock_timestamp() - make_interval(secs => ${patienceSeconds}))
    returning c.offer_id`.execute(db);
  return rows.map((row) => toOfferId(row.offerId));
}

/** Deletes sales that hold nothing any more. */
export async function deleteSalesBefore(db: Db, before: Date): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('sales').where('boughtAt', '<', before).executeTakeFirst();
  return Number(numDeletedRows);
}

/** That the sales of an account could not be read, the last time that they were asked for. */
export interface UnreadableSales {
  readonly accountId: string;
  readonly errorClass: string;
  readonly errorMessage: string;
  readonly askedAt: Date;
}

/** Accounts of which the sales could not be read, for `status`. */
export async function readUnreadableSales(db: Db): Promise<UnreadableSales[]> {
  const rows = await db
    .selectFrom('saleCursors')
    .select(['accountId', 'errorClass', 'errorMessage', 'readAt as askedAt'])
    .where('errorClass', 'is not', null)
    .orderBy('accountId')
    .execute();
  return rows.map(({ accountId, errorClass, errorMessage, askedAt }) => ({
    accountId,
    askedAt,
    errorClass: errorClass ?? '',
    errorMessage: errorMessage ?? '',
  }));
}
