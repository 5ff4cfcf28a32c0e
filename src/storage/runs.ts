import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { AccountMode } from '../domain/account.js';
import { bucketOfChange, noCounts, type Bucket, type ChangeState } from '../domain/buckets.js';
import type { ChangeKind } from '../domain/decision.js';
import { isStockAccepted, type GuardVerdict } from '../domain/guards.js';
import { toAccountId, toRunId, type AccountId, type RunId } from '../domain/ids.js';
import type { Db } from './database.js';
import { hasUsedApprovals, measureAfterRun } from './guarded-changes.js';
import { toStoredJson } from './stored-text.js';

export interface NewRun {
  readonly accountId: AccountId;
  readonly groupId: string | null;
  readonly workflowId: string;
  /** Run id of the Temporal execution: a retried open finds its own row again. */
  readonly executionId: string;
  readonly trigger: string;
  readonly mode: AccountMode;
  readonly skus: readonly string[] | null;
}

export interface RunHead {
  readonly runId: RunId;
  readonly groupId: string;
  readonly fence: number;
}

/**
 * Opens a run and takes the account over: from here on no activity of an earlier run can mark a row as `sending`.
 * What earlier runs planned and never sent is superseded; what they sent without an answer stays for this run to read.
 * @returns null when the account is gone
 */
export async function openRunRow(db: Db, run: NewRun): Promise<RunHead | null> {
  return db.transaction().execute(async (trx) => {
    const account = await trx
      .selectFrom('accounts')
      .select('fence')
      .where('id', '=', run.accountId)
      .forUpdate()
      .executeTakeFirst();
    if (account === undefined) return null;
    const opened = await trx
      .selectFrom('syncRuns')
      .select(['id', 'groupId', 'fence'])
      .where('executionId', '=', run.executionId)
      .executeTakeFirst();
    if (opened !== undefined) return { ...opened, runId: toRunId(opened.id) };

    const fence = account.fence + 1;
    const runId = toRunId(randomUUID());
    const groupId = run.groupId ?? runId;
    await trx.updateTable('accounts').set({ fence }).where('id', '=', run.accountId).execute();
    await trx
      .updateTable('offerChanges')
      .set({
        // Sent before and planned anew: it may have arrived.
        state: sql<'superseded' | 'unknown'>`case when value_sent is null then 'superseded' else 'unknown' end`,
        reason: 'run_ended',
        settledAt: sql<Date>`clock_timestamp()`,
      })
      .where('state', '=', 'planned')
      // Each run does this for the one before it, so that older ones have none left.
      .where('runId', 'in', (earlier) =>
        earlier
          .selectFrom('syncRuns')
          .select('id')
          .where('accountId', '=', run.accountId)
          .where('mode', '=', 'live')
          .orderBy('fence', 'desc')
          .limit(1),
      )
      .execute();
    await trx
      .updateTable('syncRuns')
      .set({ state: 'closed', outcome: 'superseded', finishedAt: sql<Date>`clock_timestamp()` })
      .where('accountId', '=', run.accountId)
      .where('state', '=', 'open')
      .execute();
    await trx
      .insertInto('syncRuns')
      .values({
        id: runId,
        accountId: run.accountId,
        groupId,
        workflowId: run.workflowId,
        executionId: run.executionId,
        trigger: run.trigger,
        mode: run.mode,
        skus: run.skus === null ? null : JSON.stringify(run.skus),
        fence,
      })
      .execute();
    return { runId, groupId, fence };
  });
}

export interface OpenRun {
  readonly runId: RunId;
  readonly accountId: AccountId;
  readonly fence: number;
  readonly mode: AccountMode;
  readonly skus: readonly string[] | null;
  /** true: another run has taken the account over. */
  readonly isSuperseded: boolean;
  readonly startedAt: Date;
}

/** null: the run or its account is gone. */
export async function readRun(db: Db, runId: RunId): Promise<OpenRun | null> {
  const row = await db
    .selectFrom('syncRuns as r')
    .innerJoin('accounts as a', 'a.id', 'r.accountId')
    .select(['r.id', 'r.accountId', 'r.fence', 'r.mode', 'r.skus', 'r.startedAt', 'a.fence as newestFence'])
    .where('r.id', '=', runId)
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    runId,
    accountId: toAccountId(row.accountId),
    fence: row.fence,
    mode: row.mode,
    skus: row.skus,
    isSuperseded: row.fence !== row.newestFence,
    startedAt: row.startedAt,
  };
}

/** Adds what an activity has sent. */
export async function addRunCosts(db: Db, runId: RunId, costs: { requests: number; batches: number }): Promise<void> {
  if (costs.requests === 0 && costs.batches === 0) return;
  await db
    .updateTable('syncRuns')
    .set({
      requests: sql<number>`requests + ${costs.requests}`,
      batches: sql<number>`batches + ${costs.batches}`,
    })
    .where('id', '=', runId)
    .execute();
}

/** What the listing said there is, and whether all of it was seen. */
export async function recordScanEnd(
  db: Db,
  runId: RunId,
  end: { totalCount: number | null; isComplete: boolean },
): Promise<void> {
  await db
    .updateTable('syncRuns')
    .set({ totalCount: end.totalCount, isComplete: end.isComplete })
    .where('id', '=', runId)
    .execute();
}

export async function recordGuard(db: Db, runId: RunId, guard: GuardVerdict): Promise<void> {
  await db
    .updateTable('syncRuns')
    .set({ guard: JSON.stringify(guard) })
    .where('id', '=', runId)
    .execute();
}

/** null: the guards have not looked at this run. */
export async function readGuard(db: Db, runId: RunId): Promise<GuardVerdict | null> {
  const row = await db.selectFrom('syncRuns').select('guard').where('id', '=', runId).executeTakeFirst();
  return row?.guard ?? null;
}

/** How the scan ended. */
export async function readRunEnd(db: Db, runId: RunId): Promise<{ scanEnded: boolean; totalCount: number | null }> {
  const row = await db
    .selectFrom('syncRuns')
    .select(['isComplete', 'totalCount'])
    .where('id', '=', runId)
    .executeTakeFirst();
  return { scanEnded: row?.isComplete ?? false, totalCount: row?.totalCount ?? null };
}

export interface RunCounts {
  readonly seen: number;
  readonly buckets: Record<Bucket, number>;
  readonly skipped: Record<string, number>;
  readonly failed: Record<string, number>;
  readonly held: Record<string, number>;
  readonly differing: number;
}

/** Counts every offer that this run has seen into its bucket. */
export async function countBuckets(
  db: Db,
  run: { runId: RunId; accountId: AccountId; isPreview: boolean },
): Promise<RunCounts> {
  const { rows } = await sql<{
    bucket: string;
    reason: string | null;
    kind: ChangeKind | null;
    state: ChangeState | null;
    changeReason: string | null;
    errorClass: string | null;
    count: number;
  }>`
    select o.bucket, o.reason, c.kind, c.state, c.reason as change_reason, c.error_class, count(*)::integer as count
    from offers o left join offer_changes c on c.run_id = o.last_run_id and c.offer_id = o.offer_id
    where o.account_id = ${run.accountId} and o.last_run_id = ${run.runId}
    group by 1, 2, 3, 4, 5, 6`.execute(db);
  const counts: RunCounts = { seen: 0, buckets: noCounts(), skipped: {}, failed: {}, held: {}, differing: 0 };
  let seen = 0;
  let differing = 0;
  for (const row of rows) {
    seen += row.count;
    const placed = placeOf(row, run.isPreview);
    counts.buckets[placed.bucket] += row.count;
    if (row.kind !== null) differing += row.count;
    const breakdown =
      placed.bucket === 'skipped' || placed.bucket === 'failed' || placed.bucket === 'held'
        ? counts[placed.bucket]
        : null;
    if (breakdown !== null) breakdown[placed.reason] = (breakdown[placed.reason] ?? 0) + row.count;
  }
  return { ...counts, seen, differing };
}

function placeOf(
  row: {
    bucket: string;
    reason: string | null;
    kind: ChangeKind | null;
    state: ChangeState | null;
    changeReason: string | null;
    errorClass: string | null;
  },
  isPreview: boolean,
): { bucket: Bucket; reason: string } {
  if (row.kind !== null && row.state !== null) {
    // The stock row or the offer changed in such a way between scan and send that the offer is not ours to touch.
    if (row.state === 'superseded' && row.changeReason?.startsWith('skipped:') === true) {
      return { bucket: 'skipped', reason: row.changeReason.slice('skipped:'.length) };
    }
    const bucket = bucketOfChange({ kind: row.kind, state: row.state, isPreview });
    return { bucket, reason: (bucket === 'failed' ? row.errorClass : row.changeReason) ?? 'unknown' };
  }
  if (row.bucket === 'skipped' || row.bucket === 'in_sync')
    return { bucket: row.bucket, reason: row.reason ?? 'unknown' };
  return { bucket: 'pending', reason: row.reason ?? 'unknown' };
}

export interface RunEnd {
  readonly outcome: string;
  readonly failure: { class: string; message: string } | null;
  readonly counts: RunCounts;
  readonly isComplete: boolean;
}

/**
 * Closes a run; closing it again counts anew. A run that was overtaken keeps what it had, and tells nothing of the
 * account. Returns its costs.
 */
export async function closeRunRow(
  db: Db,
  run: { runId: RunId; isOfAllOffers: boolean },
  end: RunEnd,
): Promise<{ requests: number; batches: number }> {
  return db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('syncRuns as r')
      .innerJoin('accounts as a', 'a.id', 'r.accountId')
      .select(['r.accountId', 'r.requests', 'r.batches', 'r.startedAt', 'r.mode', 'r.seen', 'r.guard'])
      .select(['a.mode as accountMode', sql<boolean>`a.fence <> r.fence`.as('isSuperseded')])
      .where('r.id', '=', run.runId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return { requests: 0, batches: 0 };
    const costs = { requests: row.requests, batches: row.batches };
    if (row.isSuperseded && row.seen !== null) return costs;
    await trx
      .updateTable('syncRuns')
      .set({
        state: 'closed',
        outcome: row.isSuperseded ? 'superseded' : end.outcome,
        isComplete: end.isComplete,
        failure: end.failure === null ? null : toStoredJson(end.failure),
        seen: end.counts.seen,
        buckets: JSON.stringify(end.counts.buckets),
        skipped: JSON.stringify(end.counts.skipped),
        failed: JSON.stringify(end.counts.failed),
        held: JSON.stringify(end.counts.held),
        finishedAt: sql<Date>`coalesce(finished_at, clock_timestamp())`,
      })
      .where('id', '=', run.runId)
      .execute();
    // A look at a live account corrects nothing: it must not hide that no run has for long.
    const isTheRealThing = row.mode === 'live' || row.accountMode === 'preview';
    if (end.isComplete && run.isOfAllOffers && isTheRealThing && !row.isSuperseded) {
      await recordCompleteRun(trx, { ...row, runId: run.runId, accountId: toAccountId(row.accountId) });
    }
    return costs;
  });
}

/** Keeps what the guards of later runs measure against. */
async function recordCompleteRun(
  trx: Db,
  run: { runId: RunId; accountId: AccountId; startedAt: Date; mode: AccountMode; guard: GuardVerdict | null },
): Promise<void> {
  const { activeOffers, shownPieces } = await measureAfterRun(trx, run);
  const { guard } = run;
  const account = await trx
    .selectFrom('accounts')
    .select('stockCountedAt')
    .where('id', '=', run.accountId)
    .executeTakeFirst();
  const isAccepted =
    guard !== null &&
    isStockAccepted(guard, {
      hasApproval: await hasUsedApprovals(trx, run, ['end']),
      standsForMs: account?.stockCountedAt == null ? null : Date.now() - account.stockCountedAt.getTime(),
    });
  await trx
    .updateTable('accounts')
    .set({
      lastCompleteAt: run.startedAt,
      lastCompleteActive: activeOffers,
      lastCompletePieces: String(shownPieces),
      ...(isAccepted
        ? { stockRows: guard.stock.rows, stockFilled: guard.stock.filled, stockCountedAt: run.startedAt }
        : {}),
      ...(run.mode === 'live'
        ? { firstCompleteLiveAt: sql<Date>`coalesce(first_complete_live_at, ${run.startedAt})` }
        : {}),
    })
    .where('id', '=', run.accountId)
    .execute();
}
