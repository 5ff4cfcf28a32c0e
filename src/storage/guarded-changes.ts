import { sql } from 'kysely';
import type { ChangeKind } from '../domain/decision.js';
import type { GuardMeasure, GuardVerdict, PlannedChanges, PlannedRises, StockCount } from '../domain/guards.js';
import type { AccountId, OfferId, RunId } from '../domain/ids.js';
import type { Mark } from './changes.js';
import type { Db } from './database.js';

/** The changes of a run as the guards weigh, hold and let them through. */

type Run = { readonly runId: RunId; readonly accountId: AccountId };

/** What a run is weighed against: its account's last complete scan; before there is one, this scan. */
export async function readGuardMeasure(db: Db, run: Run, maxPercent: number): Promise<GuardMeasure> {
  const account = await db
    .selectFrom('accounts')
    .select(['lastCompleteActive', 'lastCompletePieces', 'firstCompleteLiveAt'])
    .where('id', '=', run.accountId)
    .executeTakeFirst();
  const isUnknown = account?.lastCompleteActive == null || account.lastCompletePieces === null;
  const scan = isUnknown ? await measureScan(db, run) : { activeOffers: 0, shownPieces: 0 };
  return {
    maxPercent,
    activeOffers: account?.lastCompleteActive ?? scan.activeOffers,
    shownPieces: account?.lastCompletePieces == null ? scan.shownPieces : Number(account.lastCompletePieces),
    isFirstLiveRun: account?.firstCompleteLiveAt == null,
  };
}

/** As the scan saw it: before anything was written. */
async function measureScan(db: Db, run: Run): Promise<{ activeOffers: number; shownPieces: number }> {
  const { rows } = await sql<{ activeOffers: number; shownPieces: string | null }>`
    select count(*)::integer as active_offers, sum(coalesce(c.value_before, o.available)) as shown_pieces
    from offers o left join offer_changes c on c.run_id = o.last_run_id and c.offer_id = o.offer_id
    where o.account_id = ${run.accountId} and o.last_run_id = ${run.runId} and o.status = 'ACTIVE'`.execute(db);
  return { activeOffers: rows[0]?.activeOffers ?? 0, shownPieces: Number(rows[0]?.shownPieces ?? 0) };
}

/** The account's running offers as the run saw them, and the pieces they show after it. */
export async function measureAfterRun(db: Db, run: Run): Promise<{ activeOffers: number; shownPieces: number }> {
  const { rows } = await sql<{ activeOffers: number; shownPieces: string | null }>`
    select count(*) filter (where o.status = 'ACTIVE')::integer as active_offers,
      sum(case when c.state = 'confirmed' then (case when c.kind = 'end' then 0 else o.known_available end)
        when o.status = 'ACTIVE' then o.available else 0 end) as shown_pieces
    from offers o left join offer_changes c on c.run_id = o.last_run_id and c.offer_id = o.offer_id
    where o.account_id = ${run.accountId} and o.last_run_id = ${run.runId}`.execute(db);
  return { activeOffers: rows[0]?.activeOffers ?? 0, shownPieces: Number(rows[0]?.shownPieces ?? 0) };
}

export async function countStock(db: Db): Promise<StockCount> {
  const { rows } = await sql<StockCount>`
    select count(*)::integer as rows, count(*) filter (where quantity > 0)::integer as filled from stock_levels`.execute(
    db,
  );
  return rows[0] ?? { rows: 0, filled: 0 };
}

/** The stock table at the last complete run of the account; null: there was none. */
export async function readStockBefore(db: Db, accountId: AccountId): Promise<StockCount | null> {
  const account = await db
    .selectFrom('accounts')
    .select(['stockRows', 'stockFilled'])
    .where('id', '=', accountId)
    .executeTakeFirst();
  if (account?.stockRows == null || account.stockFilled === null) return null;
  return { rows: account.stockRows, filled: account.stockFilled };
}

/** What the run would do or has done that nobody has approved, what is held back included. */
export async function countPlannedChanges(db: Db, run: Run, except: OfferId | null = null): Promise<PlannedChanges> {
  const { rows } = await sql<{ endings: number; rises: number; addedPieces: string | null }>`
    select count(*) filter (where c.kind = 'end')::integer as endings,
      count(*) filter (where ${isRise()})::integer as rises,
      sum(c.target - case when c.status_before = 'ACTIVE' then c.value_before else 0 end)
        filter (where ${isRise()}) as added_pieces
    from offer_changes c where c.run_id = ${run.runId} and c.kind <> 'lower' and not ${isApproved()}
      and (c.state in ('planned', 'sending', 'confirmed', 'unknown') or (c.state = 'held' and c.reason = 'guard'))
      and c.offer_id is distinct from ${except}`.execute(db);
  const [row] = rows;
  return {
    endings: row?.endings ?? 0,
    rises: { offers: row?.rises ?? 0, addedPieces: Number(row?.addedPieces ?? 0) },
  };
}

function isRise() {
  return sql<boolean>`c.kind in ('raise', 'reactivate')`;
}

/** An approval lets one change through, once: it is used in the statement that marks the change as sending. */
function isApproved() {
  return sql<boolean>`exists (
    select 1 from approvals p where p.account_id = c.account_id and p.offer_id = c.offer_id and p.target = c.target
      and (p.used_by = c.run_id or (p.used_at is null and p.expires_at > clock_timestamp())))`;
}

/** Holds these kinds of changes of the run that nobody has approved; returns how many. */
export async function holdChanges(db: Db, run: Run, kinds: readonly ChangeKind[]): Promise<number> {
  if (kinds.length === 0) return 0;
  const { rows } = await sql<{ offerId: string }>`
    update offer_changes c set state = 'held', reason = 'guard', settled_at = clock_timestamp()
    where c.run_id = ${run.runId} and c.kind = any(${kinds}::text[]) and c.state = 'planned' and not ${isApproved()}
    returning c.offer_id`.execute(db);
  return rows.length;
}

/**
 * Makes an ending or a rise of a change that was planned as something else, or as less, if the run may still do so. One
 * at a time, so that many that change together cannot all be the last one allowed.
 * @param mayAdd whether the run may do what it has planned and this change besides
 * @returns false: it would be one too many
 */
export async function claimChange(
  db: Db,
  run: Run,
  change: {
    readonly offerId: OfferId;
    readonly kind: ChangeKind;
    readonly target: number;
    /** As it was read: what another worker has sent meanwhile keeps what it is. */
    readonly mark: Mark | null;
  },
  mayAdd: (others: PlannedChanges, verdict: GuardVerdict | null) => boolean,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const locked = await trx
      .selectFrom('syncRuns')
      .select('guard')
      .where('id', '=', run.runId)
      .forUpdate()
      .executeTakeFirst();
    if (!mayAdd(await countPlannedChanges(trx, run, change.offerId), locked?.guard ?? null)) return false;
    await trx
      .updateTable('offerChanges')
      .set({ kind: change.kind, target: change.target })
      .where('runId', '=', run.runId)
      .where('offerId', '=', change.offerId)
      .where('state', 'in', ['planned', 'sending'])
      .where(sql<boolean>`sent_at is not distinct from ${change.mark}::timestamptz`)
      .execute();
    return true;
  });
}

/** Adds one change to what is planned. */
export function withRise(rises: PlannedRises, addedPieces: number): PlannedRises {
  return { offers: rises.offers + 1, addedPieces: rises.addedPieces + addedPieces };
}

/** Whether a person has let something of these kinds through that this run has sent. */
export async function hasUsedApprovals(db: Db, run: Run, kinds: readonly ChangeKind[]): Promise<boolean> {
  const { rows } = await sql<{ isUsed: boolean }>`
    select exists (
      select from approvals p join offer_changes c on c.run_id = p.used_by and c.offer_id = p.offer_id
      where p.account_id = ${run.accountId} and p.used_by = ${run.runId}
        and c.kind = any(${kinds}::text[])
    ) as is_used`.execute(db);
  return rows[0]?.isUsed ?? false;
}
