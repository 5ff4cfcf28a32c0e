import type { AlertMessage } from '../notifications/notifier.js';
import type { Db } from '../storage/database.js';
import { openIncident, openIncidents, resolveIncidents } from '../storage/incidents.js';
import { enqueue } from '../storage/outbox.js';
import {
  countVanishedStock,
  readRecoveredOffers,
  readRejectedChanges,
  type RejectedChange,
} from '../storage/run-findings.js';
import { readGuard, type OpenRun } from '../storage/runs.js';
import type { AccountResult } from '../workflows/api.js';

export interface ReportedRun {
  readonly accountId: string;
  readonly accountName: string;
  /** null: the run could not be opened. */
  readonly run: OpenRun | null;
  readonly result: AccountResult;
}

/** Failures told one by one; from the next on they are counted by class. */
const FAILURES_LISTED = 10;
const GUARD_CLASS = 'EndingsHeld';
const VANISHED_CLASS = 'StockRowVanished';
const BUSY_CLASS = 'StillRunning';

/**
 * Turns the end of a run into incidents and messages, in one transaction: a problem is told when it begins and when it
 * is over, however often runs meet it.
 */
export async function reportRun(db: Db, reported: ReportedRun): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { run, result } = reported;
    await reportFailure(trx, reported);
    if (run === null) return;
    if (result.mode === 'live') await reportRejected(trx, reported, run);
    await reportHeld(trx, reported, run);
    await reportVanished(trx, reported, run);
    if (result.failure === null) await reportRecovered(trx, reported, run);
  });
}

async function reportFailure(trx: Db, { accountId, accountName, run, result }: ReportedRun): Promise<void> {
  const { failure } = result;
  if (failure === null || result.outcome === 'stopped') return;
  const isOfTheSystem = failure.class === 'ApplicationRefused' || failure.class === 'DependencyUnavailable';
  const title = titleOf(failure.class);
  const incident = await openIncident(trx, {
    ...(isOfTheSystem ? {} : { accountId }),
    class: failure.class,
    title,
    details: { message: failure.message },
    ...(run === null ? {} : { runId: run.runId }),
  });
  if (!incident.isNew) return;
  const problem = {
    class: failure.class,
    title,
    details: failure.message,
    since: new Date().toISOString(),
    ...actionFor(failure.class, accountId),
  };
  await enqueue(trx, {
    dedupeKey: `incident/${incident.id}/opened`,
    message: (isOfTheSystem
      ? { kind: 'system_problem', ...problem }
      : {
          kind: 'account_problem',
          accountId,
          accountName,
          ...problem,
          ...(run === null ? {} : { runId: run.runId }),
        }) satisfies AlertMessage,
  });
}

function titleOf(errorClass: string): string {
  switch (errorClass) {
    case 'TokenRevoked':
      return 'The account is paused: its authorization is no longer valid';
    case 'AccountRefused':
      return 'The account is refused: its token belongs to another shop';
    case 'ApplicationRefused':
      return 'Allegro refuses the application itself';
    case 'MarketplaceUnavailable':
      return 'Allegro could not be reached';
    default:
      return `The sync of the account failed (${errorClass})`;
  }
}

function actionFor(errorClass: string, accountId: string): { action: string } | Record<string, never> {
  switch (errorClass) {
    case 'TokenRevoked':
      return { action: `Log in again: allegro-stock-sync accounts authorize ${accountId}` };
    case 'ApplicationRefused':
      return { action: 'Check ALLEGRO_CLIENT_ID and ALLEGRO_CLIENT_SECRET' };
    default:
      return {};
  }
}

async function reportRejected(trx: Db, { accountId, accountName }: ReportedRun, run: OpenRun): Promise<void> {
  const rejected = await readRejectedChanges(trx, run);
  if (rejected.length === 0) return;
  const opened = await openIncidents(
    trx,
    rejected.map((change) => ({
      accountId,
      offerId: change.offerId,
      class: change.errorClass,
      title: `Offer ${change.offerId} (${change.sku}) could not be set to ${change.target}`,
      details: { message: change.errorMessage, sku: change.sku, target: change.target, attempts: change.attempts },
      runId: run.runId,
    })),
  );
  const news = new Set(opened.filter((incident) => incident.isNew).map((incident) => incident.offerId));
  const told = rejected.filter((change) => news.has(change.offerId));
  if (told.length === 0) return;
  const countsByClass: Record<string, number> = {};
  for (const change of told) countsByClass[change.errorClass] = (countsByClass[change.errorClass] ?? 0) + 1;
  await enqueue(trx, {
    dedupeKey: `run/${run.runId}/failures`,
    message: {
      kind: 'offer_failures',
      accountId,
      accountName,
      runId: run.runId,
      failures: told.slice(0, FAILURES_LISTED).map(toFailure),
      countsByClass,
    } satisfies AlertMessage,
  });
}

function toFailure(change: RejectedChange) {
  const piecesAtRisk = change.valueBefore - change.target;
  return {
    offerId: change.offerId,
    sku: change.sku,
    current: change.valueBefore,
    target: change.target,
    errorClass: change.errorClass,
    error: change.errorMessage,
    attempts: change.attempts,
    at: change.settledAt.toISOString(),
    ...(piecesAtRisk > 0 ? { piecesAtRisk } : {}),
  };
}

async function reportHeld(trx: Db, { accountId, accountName, result }: ReportedRun, run: OpenRun): Promise<void> {
  const heldCount = result.held.guard ?? 0;
  if (heldCount === 0) return;
  const guard = await readGuard(trx, run.runId);
  const details =
    guard === null
      ? `${heldCount} endings are held back`
      : `${guard.plannedEndings} of ${guard.activeOffers} active offers would be ended; ${guard.allowedEndings} are allowed at once`;
  const incident = await openIncident(trx, {
    accountId,
    class: GUARD_CLASS,
    title: 'Endings are held back until somebody approves them',
    details: { message: details, heldCount },
    runId: run.runId,
  });
  if (!incident.isNew) return;
  await enqueue(trx, {
    dedupeKey: `incident/${incident.id}/opened`,
    message: {
      kind: 'held',
      accountId,
      accountName,
      runId: run.runId,
      details,
      heldCount,
      at: new Date().toISOString(),
    } satisfies AlertMessage,
  });
}

async function reportVanished(trx: Db, { accountId, accountName, result }: ReportedRun, run: OpenRun): Promise<void> {
  if ((result.skipped.unknown_sku ?? 0) === 0) return;
  const vanished = await countVanishedStock(trx, run);
  if (vanished.count === 0) return;
  const title = 'Stock rows have vanished';
  const details =
    `${vanished.count} offers had a stock row before and have none now; they are left as they are. ` +
    `First SKUs: ${vanished.skus.join(', ')}`;
  const incident = await openIncident(trx, {
    accountId,
    class: VANISHED_CLASS,
    title,
    details: { message: details, count: vanished.count },
    runId: run.runId,
  });
  if (!incident.isNew) return;
  await enqueue(trx, {
    dedupeKey: `incident/${incident.id}/opened`,
    message: {
      kind: 'account_problem',
      accountId,
      accountName,
      runId: run.runId,
      class: VANISHED_CLASS,
      title,
      details,
      action: 'To sell a SKU no more, set its quantity to 0 instead of deleting its row.',
      since: new Date().toISOString(),
    } satisfies AlertMessage,
  });
}

async function reportRecovered(trx: Db, { accountId, accountName, result }: ReportedRun, run: OpenRun): Promise<void> {
  const stillOpen = [
    BUSY_CLASS,
    ...((result.held.guard ?? 0) > 0 || run.skus !== null ? [GUARD_CLASS] : []),
    ...((await countVanishedStock(trx, run)).count > 0 || run.skus !== null ? [VANISHED_CLASS] : []),
  ];
  const open = await trx
    .selectFrom('incidents')
    .select('class')
    .distinct()
    .where('state', '=', 'open')
    .where('accountId', '=', accountId)
    .where('offerId', 'is', null)
    .execute();
  const over = open.map((row) => row.class).filter((name) => !stillOpen.includes(name));
  const resolved = [
    ...(over.length === 0 ? [] : await resolveIncidents(trx, { accountId, classes: over, offerIds: null })),
    ...(await resolveIncidents(trx, { accountId, offerIds: await readRecoveredOffers(trx, run) })),
    ...(await resolveIncidents(trx, { accountId: null, classes: ['ApplicationRefused', 'DependencyUnavailable'] })),
  ];
  if (resolved.length === 0) return;
  const since = new Date(Math.min(...resolved.map((incident) => incident.openedAt.getTime())));
  await enqueue(trx, {
    dedupeKey: `run/${run.runId}/resolved`,
    message: {
      kind: 'resolved',
      accountId,
      accountName,
      titles: resolved.map((incident) => incident.title),
      since: since.toISOString(),
      at: new Date().toISOString(),
    } satisfies AlertMessage,
  });
}
