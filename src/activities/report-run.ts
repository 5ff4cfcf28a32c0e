import {
  tellHeld,
  tellOfferFailures,
  tellOver,
  tellProblem,
  type AccountName,
  type Problem,
} from '../notifications/tell.js';
import { OFFER_CONTESTED } from '../domain/contested.js';
import { CHANGED_MEANWHILE, describeVerdict } from '../domain/guards.js';
import type { Db } from '../storage/database.js';
import { readHeldReasons, resolveIncidents } from '../storage/incidents.js';
import {
  countVanishedStock,
  hasUsedApprovalsSinceTold,
  readLastingSystemClasses,
  readOpenAccountClasses,
  readRecoveredOffers,
  readStaleStock,
  readFailedChanges,
  readUntoldQuarantines,
  readUntoldLoginPauses,
  recordUnopened,
  type FailedChange,
} from '../storage/run-findings.js';
import { readGuard, type OpenRun } from '../storage/runs.js';
import type { AccountResult, RunFailure } from '../workflows/api.js';

export interface ReportedRun {
  readonly account: AccountName;
  /** null: the run could not be opened. */
  readonly run: OpenRun | null;
  readonly result: AccountResult;
}

const HELD = 'Held';
const VANISHED = 'StockRowVanished';
const STALE = 'StaleStock';
/** Told by the upkeep of the workers; over when a run has seen every offer. */
const SILENCE = 'NoCompleteRun';
const END_THE_CONTEST =
  'Find the other program that writes to this offer and stop one of the two. Then: allegro-stock-sync incidents resolve N';
/** Over as soon as any run has worked with the marketplace; the rest only by one that has seen every offer. */
const OVER_WITH_ANY_RUN = ['TokenRevoked', 'AccountRefused', 'MarketplaceUnavailable', 'LoginExpires'];
/** Problems of the application or the installation, whichever account met them. */
const OF_THE_SYSTEM = ['ApplicationRefused', 'DependencyUnavailable'];

/**
 * Turns the end of a run into incidents and messages, in one transaction: a problem is told when it begins and when it
 * is over, however often runs meet it.
 */
export async function reportRun(db: Db, reported: ReportedRun): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { run, result } = reported;
    await reportFailure(trx, reported);
    if (run === null) return;
    if (result.mode === 'live') await reportFailed(trx, reported, run);
    const isVanished = await reportVanished(trx, reported, run);
    const isStale = await reportStale(trx, reported, run);
    const isHeld = await reportHeld(trx, reported, run);
    if (result.failure !== null) return;
    const stillOpen = [
      ...(result.mode === 'live' ? [] : [SILENCE]),
      ...(isHeld ? [HELD] : []),
      ...(isVanished ? [VANISHED] : []),
      ...(isStale ? [STALE] : []),
    ];
    const isOfAll = sawAll(reported, run);
    await reportRecovered(trx, reported.account, run, (name) =>
      isOfAll ? !stillOpen.includes(name) : OVER_WITH_ANY_RUN.includes(name),
    );
  });
}

/** Whether the run may conclude something about offers that it has not met. */
function sawAll({ result }: ReportedRun, run: OpenRun): boolean {
  return result.isComplete && run.skus === null;
}

async function reportFailure(trx: Db, { account, run, result }: ReportedRun): Promise<void> {
  const { failure } = result;
  if (run !== null) await recordUnopened(trx, account.accountId, null);
  if (failure === null || result.outcome === 'stopped') return;
  if (run === null) await recordUnopened(trx, account.accountId, failure.class);
  await tellProblem(trx, { ...problemOf(account, failure), ...(run === null ? {} : { runId: run.runId }) });
}

/**
 * Tells of accounts that Allegro's refusal of their login has paused and whose run did not come to tell it: it was
 * overtaken or killed in that moment, or there was none.
 */
export async function reportLoginPauses(db: Db): Promise<void> {
  for (const { accountId, accountName, reason } of await readUntoldLoginPauses(db)) {
    const problem = problemOf({ accountId, accountName }, { class: 'TokenRevoked', message: reason });
    await db.transaction().execute((trx) => tellProblem(trx, problem));
  }
}

function problemOf(account: AccountName, failure: RunFailure): Problem {
  const action = actionFor(failure, account.accountId);
  return {
    ...(OF_THE_SYSTEM.includes(failure.class) ? { account: null, metBy: account } : { account }),
    class: failure.class,
    title: titleOf(failure.class),
    details: failure.message,
    ...(action === null ? {} : { action }),
  };
}

function titleOf(errorClass: string): string {
  switch (errorClass) {
    case 'TokenRevoked':
      return 'The account is paused until it is logged in at Allegro';
    case 'AccountRefused':
      return 'Allegro refuses the account, or its login opens another shop';
    case 'ApplicationRefused':
      return 'Allegro refuses the application itself';
    case 'MarketplaceUnavailable':
      return 'Allegro could not be reached';
    default:
      return `The sync of the account failed (${errorClass})`;
  }
}

function actionFor({ class: errorClass, whatToDo }: RunFailure, accountId: string): string | null {
  return errorClass === 'TokenRevoked' ? `allegro-stock-sync accounts authorize ${accountId}` : (whatToDo ?? null);
}

async function reportFailed(trx: Db, { account, result }: ReportedRun, run: OpenRun): Promise<void> {
  const failed = await readFailedChanges(trx, run);
  const untold = (result.skipped.quarantined ?? 0) === 0 ? [] : await readUntoldQuarantines(trx, run);
  // A message names one run: that in which its offers failed.
  const byRun = new Map<string, FailedChange[]>();
  for (const change of [...failed, ...untold]) {
    const ofRun = byRun.get(change.runId) ?? [];
    ofRun.push(change);
    byRun.set(change.runId, ofRun);
  }
  for (const [runId, changes] of byRun) {
    await tellOfferFailures(trx, { account, runId, failures: changes.map(toFailure) });
  }
}

function toFailure(change: FailedChange) {
  const piecesAtRisk = change.valueBefore - change.target;
  const whatToDo = change.errorClass === OFFER_CONTESTED ? END_THE_CONTEST : change.whatToDo;
  return {
    offerId: change.offerId,
    sku: change.sku,
    current: change.valueBefore,
    target: change.target,
    errorClass: change.errorClass,
    error: change.errorMessage,
    ...(whatToDo === null ? {} : { action: whatToDo }),
    attempts: change.attempts,
    at: change.settledAt.toISOString(),
    ...(piecesAtRisk > 0 ? { piecesAtRisk } : {}),
  };
}

/** true: the guards hold something back. */
async function reportHeld(trx: Db, reported: ReportedRun, run: OpenRun): Promise<boolean> {
  const { account, result } = reported;
  const heldCount = result.held.guard ?? 0;
  if (heldCount === 0) return false;
  const guard = await readGuard(trx, run.runId);
  const reasons = guard?.reasons ?? [];
  const told = await readHeldReasons(trx, account.accountId);
  // What is held once a person has let the rest through, or for another reason, is news: the incident begins anew.
  const isNews = reasons.some((reason) => !told.includes(reason)) || (await hasUsedApprovalsSinceTold(trx, run));
  if (isNews) await resolveIncidents(trx, { accountId: account.accountId, classes: [HELD], offerIds: null });
  await tellHeld(trx, {
    ...account,
    runId: run.runId,
    heldCount,
    details: guard === null ? CHANGED_MEANWHILE : describeVerdict(guard),
    reasons: [...new Set([...(isNews ? [] : told), ...reasons])],
    at: new Date(),
  });
  return true;
}

/** true: stock rows are missing that were there before. */
async function reportVanished(trx: Db, reported: ReportedRun, run: OpenRun): Promise<boolean> {
  const { account, result } = reported;
  const vanished =
    (result.skipped.unknown_sku ?? 0) === 0 ? { count: 0, skus: [] } : await countVanishedStock(trx, run);
  if (vanished.count === 0) return false;
  await tellProblem(trx, {
    account,
    class: VANISHED,
    title: 'Stock rows have vanished',
    details:
      `${vanished.count} offers had a stock row before and have none now; they are left as they are. ` +
      `First SKUs: ${vanished.skus.join(', ')}`,
    action: 'To sell a SKU no more, set its quantity to 0 instead of deleting its row.',
    runId: run.runId,
  });
  return true;
}

/** true: raises wait for stock that is too old (`STOCK_MAX_AGE`). */
async function reportStale(trx: Db, reported: ReportedRun, run: OpenRun): Promise<boolean> {
  const { account, result } = reported;
  const count = result.held.stale_stock ?? 0;
  if (count === 0) return false;
  const oldest = await readStaleStock(trx, run);
  const first = oldest.map(({ sku, updatedAt }) => `${sku} (${updatedAt.toISOString()})`).join(', ');
  await tellProblem(trx, {
    account,
    class: STALE,
    title: 'The stock is too old to raise anything',
    details:
      `${count} raises and returns are held, since their stock has not changed for longer than STOCK_MAX_AGE; ` +
      `lowerings and endings went on. Oldest: ${first}`,
    action:
      'Look whether the warehouse system still writes; a number that it writes again unchanged does not count. ' +
      'If these numbers are right, STOCK_MAX_AGE is too short.',
    runId: run.runId,
  });
  return true;
}

async function reportRecovered(
  trx: Db,
  account: AccountName,
  run: OpenRun,
  isOver: (problemClass: string) => boolean,
): Promise<void> {
  const classes = (await readOpenAccountClasses(trx, run)).filter(isOver);
  if (classes.length > 0) await tellOver(trx, { account, filter: { classes, offerIds: null } });
  const offerIds = await readRecoveredOffers(trx, run);
  if (offerIds.length > 0) await tellOver(trx, { account, filter: { offerIds } });
  // A problem of the system may be met by one account alone, whose runs take turns with those of the others.
  const lasting = await readLastingSystemClasses(trx);
  const over = OF_THE_SYSTEM.filter((name) => !lasting.includes(name));
  if (over.length > 0) await tellOver(trx, { account: null, filter: { classes: over } });
}
