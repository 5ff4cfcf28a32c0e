import { sql } from 'kysely';
import { OFFER_CONTESTED } from '../domain/contested.js';
import type { AccountId, RunId } from '../domain/ids.js';
import type { Db } from './database.js';
import { LOGIN_NEEDED } from './token-store.js';

type Run = { readonly runId: RunId; readonly accountId: AccountId };

/** A change that ended as a failure, or that others do not let us make, as a person is told of it. */
export interface FailedChange {
  /** The run that it failed in. */
  readonly runId: string;
  readonly offerId: string;
  readonly sku: string;
  readonly kind: 'end' | 'lower' | 'reactivate' | 'raise';
  readonly valueBefore: number;
  readonly target: number;
  readonly attempts: number;
  readonly errorClass: string;
  readonly errorMessage: string;
  /** null: not known. */
  readonly whatToDo: string | null;
  readonly settledAt: Date;
}

/** The failures of a run, oversell risks first. */
export async function readFailedChanges(db: Db, run: Run): Promise<FailedChange[]> {
  const { rows } = await sql<FailedChange>`
    select run_id, offer_id, sku, kind, case when status_before = 'ENDED' then 0 else value_before end as value_before, target, attempts, coalesce(error_class, 'unknown') as error_class,
      coalesce(error_message, 'no message') as error_message, answer ->> 'whatToDo' as what_to_do,
      coalesce(settled_at, clock_timestamp()) as settled_at
    from offer_changes where run_id = ${run.runId} and (state = 'rejected' or error_class = ${OFFER_CONTESTED})
    order by array_position(array['end', 'lower', 'reactivate', 'raise'], kind), value_before - target desc, offer_id`.execute(
    db,
  );
  return rows;
}

/**
 * Offers that this run leaves alone since they were rejected, and of which no open incident tells, or none that they
 * may be oversold: the run that was refused was overtaken or killed before it came to tell it, or a person has resolved
 * it while it lasts. What the offer shows and should show is as this run has seen it.
 */
export async function readUntoldQuarantines(db: Db, run: Run): Promise<FailedChange[]> {
  const { rows } = await sql<FailedChange>`
    select coalesce(r.run_id, c.run_id) as run_id, c.offer_id, c.sku, c.kind,
      case when c.status_before = 'ENDED' then 0 else c.value_before end as value_before, c.target,
      coalesce(r.attempts, 1) as attempts, q.error_class, q.message as error_message,
      r.answer ->> 'whatToDo' as what_to_do, coalesce(r.settled_at, q.since) as settled_at
    from offer_changes c
    join quarantined_offers q on q.account_id = c.account_id and q.offer_id = c.offer_id
    left join lateral (
      select x.run_id, x.attempts, x.answer, x.settled_at from offer_changes x
      where x.account_id = c.account_id and x.offer_id = c.offer_id and x.state = 'rejected'
        and x.error_class = q.error_class
      order by x.planned_at desc limit 1
    ) r on true
    where c.run_id = ${run.runId} and c.state = 'superseded' and c.reason = 'skipped:quarantined'
      -- Left to another program, which is told as such.
      and c.error_class is null
      and not exists (select from incidents i where i.account_id = c.account_id and i.offer_id = c.offer_id
        and i.class = q.error_class and i.state = 'open'
        and (i.details ? 'piecesAtRisk' or c.status_before = 'ENDED' or c.value_before <= c.target))
    order by c.offer_id`.execute(db);
  return rows;
}

/** Offers that had a stock row when we saw them before, and have none now: told, never taken for 0. */
export async function countVanishedStock(db: Db, run: Run): Promise<{ count: number; skus: string[] }> {
  const { rows } = await sql<{ count: number; skus: string[] | null }>`
    select count(*)::integer as count, (array_agg(distinct sku))[1:10] as skus
    from offers where account_id = ${run.accountId} and last_run_id = ${run.runId}
      and reason = 'unknown_sku' and had_stock`.execute(db);
  const [row] = rows;
  return { count: row?.count ?? 0, skus: row?.skus ?? [] };
}

/** Offers with an open incident that this run has found, or made, to be right, and those that are not there any more. */
export async function readRecoveredOffers(db: Db, run: Run): Promise<string[]> {
  const { rows } = await sql<{ offerId: string }>`
    select distinct i.offer_id
    from incidents i
    join offers o on o.account_id = i.account_id and o.offer_id = i.offer_id
      and (o.last_run_id = ${run.runId} or o.gone_at is not null)
    left join offer_changes c on c.run_id = ${run.runId} and c.offer_id = o.offer_id
    where i.account_id = ${run.accountId} and i.state = 'open' and i.offer_id is not null
      and (o.gone_at is not null or c.state in ('confirmed', 'in_sync') or (c.state is null and o.bucket = 'in_sync')
        or (o.bucket = 'skipped' and o.reason <> 'quarantined' and (c.state is null or c.state = 'superseded')))`.execute(
    db,
  );
  return rows.map((row) => row.offerId);
}

/** What is right again is not kept in quarantine. */
export async function releaseQuarantine(db: Db, run: Run): Promise<void> {
  await sql`
    delete from quarantined_offers q using offers o
    where q.account_id = ${run.accountId} and o.account_id = q.account_id and o.offer_id = q.offer_id
      and o.last_run_id = ${run.runId} and o.bucket = 'in_sync'`.execute(db);
}

/** Classes of the account's own open incidents that this run has not met; those of its offers not counted. */
export async function readOpenAccountClasses(db: Db, { accountId, runId }: Run): Promise<string[]> {
  const rows = await db
    .selectFrom('incidents')
    .select('class')
    .distinct()
    .where('state', '=', 'open')
    .where('accountId', '=', accountId)
    .where('offerId', 'is', null)
    .where(sql<boolean>`run_id is distinct from ${runId}`)
    .execute();
  return rows.map((row) => row.class);
}

/** Keeps that the account's run could not be opened, and why; null: it has come to the end of one. */
export async function recordUnopened(db: Db, accountId: string, failureClass: string | null): Promise<void> {
  await db
    .updateTable('accounts')
    .set({ unopenedClass: failureClass })
    .where('id', '=', accountId)
    .where(sql<boolean>`unopened_class is distinct from ${failureClass}`)
    .execute();
}

/**
 * Classes of the system's open incidents that last: the newest run of some account ended with one, or could not be opened
 * for it. A run that was overtaken or stopped shows nothing, and an account that is paused will not meet it.
 */
export async function readLastingSystemClasses(db: Db): Promise<string[]> {
  const { rows } = await sql<{ class: string }>`
    select i.class from incidents i
    where i.state = 'open' and i.account_id is null and i.offer_id is null and exists (
      select from accounts a
      left join lateral (
        select r.failure ->> 'class' as failure from sync_runs r
        where r.account_id = a.id and r.state = 'closed' and r.outcome not in ('superseded', 'stopped')
        order by r.started_at desc limit 1
      ) newest on true
      where a.paused_reason is null and i.class in (newest.failure, a.unopened_class)
    )`.execute(db);
  return rows.map((row) => row.class);
}

/**
 * Whether this run has sent what a person let through after they were told of what is held back. Closed again, the run
 * finds that it has told of the rest itself.
 */
export async function hasUsedApprovalsSinceTold(db: Db, run: Run): Promise<boolean> {
  const { rows } = await sql<{ isUsed: boolean }>`
    select exists (
      select from approvals p join incidents i on i.account_id = p.account_id and i.offer_id is null
        and i.class = 'Held' and i.state = 'open' and i.opened_at < p.used_at
      where p.account_id = ${run.accountId} and p.used_by = ${run.runId}
    ) as is_used`.execute(db);
  return rows[0]?.isUsed ?? false;
}

/** The stock that keeps this run from raising, the longest unchanged first. */
export async function readStaleStock(db: Db, run: Run): Promise<{ sku: string; updatedAt: Date }[]> {
  const { rows } = await sql<{ sku: string; updatedAt: Date }>`
    select l.sku, max(l.updated_at) as updated_at from stock_levels l
    where l.sku in (
      select c.sku from offer_changes c
      where c.run_id = ${run.runId} and c.state = 'held' and c.reason = 'stale_stock'
    )
    group by l.sku order by max(l.updated_at), l.sku limit 10`.execute(db);
  return rows;
}

/** Accounts that wait for a new login and of which no incident tells since they were paused. */
export async function readUntoldLoginPauses(
  db: Db,
): Promise<{ accountId: string; accountName: string; reason: string }[]> {
  const { rows } = await sql<{ accountId: string; accountName: string; reason: string }>`
    select a.id as account_id, a.name as account_name, substr(a.paused_reason, ${LOGIN_NEEDED.length + 1}) as reason
    from accounts a where starts_with(a.paused_reason, ${LOGIN_NEEDED})
      and not exists (select from incidents i where i.account_id = a.id and i.offer_id is null
        and i.class = 'TokenRevoked' and i.last_seen_at >= a.paused_at)`.execute(db);
  return rows;
}
