import { waitUntil } from '../../src/local/wait-until.js';
import type { WorkerProcess } from '../../src/local/application.js';
import { syncAccountId } from '../../src/workflows/api.js';
import { syncReportSchema, type AccountReport } from '../e2e/application-under-test.js';
import type { CrashBed } from './crash-bed.js';
import { historyEvents, type PastEvent } from './past-events.js';
import { armPoint, type ArmedPoint } from './crash-arm.js';
import { titleOf, type CrashPoint } from './crash-points.js';
import { openCrashShop, RETRIES, type CrashShop } from './crash-shop.js';

/** What a kill at one point did. */
export interface CrashResult {
  readonly point: CrashPoint;
  /** The activity that timed out because of the kill: it must be the point's. */
  readonly interrupted: readonly string[];
  /** From the kill to the start of the same activity by the other worker. */
  readonly secondsToResume: number;
  readonly outcome: string;
  /** Offers that are not as they should be. */
  readonly wrong: readonly string[];
  /** Writes beyond the first that changed an offer once more. */
  readonly writtenTwice: number;
  /** Writes of a number that the offer had already. */
  readonly repeated: number;
  readonly harmful: number;
  /** Offers with more attempts counted than there were answers to them. */
  readonly attemptsUsedUp: number;
  /** Messages beside the one that is due, repetitions of it included. */
  readonly toldWrongly: readonly string[];
  /** Repetitions of the message that was on its way. */
  readonly toldTwice: number;
  readonly isTold: boolean;
  readonly seen: number;
  readonly inBuckets: number;
}

const REACH_PATIENCE_MS = 60_000;
const TELL_PATIENCE_MS = 60_000;

/** The run went by the point, or another worker's upkeep came there before it. */
export class NeverReached extends Error {}

/** Runs the shop's sync, kills the worker that stands at the point, and looks at everything when another one is done. */
export async function crashAt(bed: CrashBed, point: CrashPoint, number: number): Promise<CrashResult> {
  const { application, alerts, client } = bed;
  const { admin } = application;
  await admin.removeFaults();
  await admin.resetReport();
  const shop = await openCrashShop(application, {
    accountId: `crash-${number}`,
    sellerId: String(45_000_000 + number),
    hasMassEnding: point.hasMassEnding ?? false,
  });
  if (point.isLoginDue === true) await forgetLogin(bed, shop);
  const earlier = alerts.messages.map(({ html }) => html);
  const armed = await armPoint(bed, point.hold, shop);
  await shop.plantRefusals(point);

  await bed.haveTwoWorkers();
  const ran = application.runClient(['sync', '--account', shop.accountId, '--json']);
  const worker = await workerAt(bed, { armed, shop, activity: point.activity });
  if (worker === null) {
    await armed.release();
    await ran;
    throw new NeverReached(`${titleOf(point)}: never reached`);
  }
  const killedAt = Date.now();
  worker.kill('SIGKILL');
  await waitUntil(() => worker.hasEnded(), REACH_PATIENCE_MS, 5);
  await armed.release();
  const { stdout, stderr } = await ran;
  if (stdout === '') throw new Error(`${titleOf(point)}: the sync did not end: ${stderr}`);
  const account = reportOf(stdout, shop);

  const events = await historyEvents(client, syncAccountId(shop.accountId));
  // A sender killed at an earlier point may repeat the message of that one now.
  const told = (): string[] =>
    alerts.messages
      .slice(earlier.length)
      .map(({ html }) => html)
      .filter((html) => !earlier.includes(html));
  await waitUntil(() => told().length > 0, TELL_PATIENCE_MS);
  await waitUntil(async () => (await shop.findWrong()).length === 0, 2_000);
  const report = await admin.report();
  const due = told().filter((html) => html.includes(shop.stubbornOffer) || html.includes('held back'));
  return {
    point,
    interrupted: events.flatMap((event) => (event.kind === 'timed_out' ? [event.activity] : [])),
    secondsToResume: (resumeOf(events, { activity: point.activity, killedAt }) - killedAt) / 1000,
    outcome: account.outcome,
    wrong: await shop.findWrong(),
    writtenTwice: await countSecondEffects(bed, shop),
    repeated: report.redundantWrites.count,
    harmful: report.harmfulWrites.total,
    attemptsUsedUp: await countUsedUp(bed, shop, point),
    toldWrongly: told().filter((html) => !due.includes(html)),
    toldTwice: due.length - new Set(due).size,
    isTold: due.length > 0,
    seen: account.seen,
    inBuckets: Object.values(account.buckets).reduce((sum, count) => sum + count, 0),
  };
}

/** The worker whose activity stands at the point; null: none came there. */
export async function workerAt(
  { application, client }: CrashBed,
  at: {
    readonly armed: Pick<ArmedPoint, 'isReached'>;
    readonly shop: Pick<CrashShop, 'accountId'>;
    readonly activity: string;
  },
): Promise<WorkerProcess | null> {
  const handle = client.workflow.getHandle(syncAccountId(at.shop.accountId));
  let found: WorkerProcess | undefined;
  await waitUntil(
    async () => {
      if (!(await at.armed.isReached())) return false;
      const { raw } = await handle.describe();
      const pending = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === at.activity);
      // Two offers may be at their second attempt, one in each worker: the one that stands at the point is left.
      if (pending.length !== 1) return false;
      const pid = Number(pending[0]?.lastWorkerIdentity?.split('@')[0]);
      found = application.workers.find((worker) => worker.pid === pid && !worker.hasEnded());
      return found !== undefined;
    },
    REACH_PATIENCE_MS,
    10,
  );
  return found ?? null;
}

function reportOf(stdout: string, shop: CrashShop): AccountReport {
  const { accounts } = syncReportSchema.parse(JSON.parse(stdout));
  const [account] = accounts;
  if (account === undefined) throw new Error(`the sync told nothing of ${shop.accountId}`);
  return account;
}

/** The token is due for a refresh, and whose shop it opens is to be asked for. */
async function forgetLogin({ database }: CrashBed, { accountId }: CrashShop): Promise<void> {
  await database.query('update accounts set seller_id = null where id = $1', [accountId]);
  await database.query('update account_tokens set access_expires_at = now() where account_id = $1', [accountId]);
}

function resumeOf(events: readonly PastEvent[], kill: { activity: string; killedAt: number }): number {
  const started = events.find(
    (event) => event.kind === 'started' && event.activity === kill.activity && event.at > kill.killedAt,
  );
  return started?.at ?? Number.NaN;
}

/** Each offer may be changed once; a number that is there already changes nothing. */
async function countSecondEffects({ application }: CrashBed, shop: CrashShop): Promise<number> {
  const { admin } = application;
  const { entries } = await admin.journal({ limit: 100_000 });
  const { redundantWrites } = await admin.report();
  const writes = new Map<string, number>();
  for (const { method, phases, offerIds, values, sellerId, fault, status } of entries) {
    if (sellerId !== shop.sellerId || method === 'GET' || phases.applied === 0 || fault === 'status') continue;
    if (status >= 400 || values.length === 0) continue;
    for (const offerId of offerIds) writes.set(offerId, (writes.get(offerId) ?? 0) + 1);
  }
  for (const sample of redundantWrites.samples) {
    const offerId = sample.split(' ').at(-1) ?? '';
    writes.set(offerId, (writes.get(offerId) ?? 0) - 1);
  }
  return [...writes.values()].reduce((sum, count) => sum + Math.max(0, count - 1), 0);
}

async function countUsedUp({ database }: CrashBed, shop: CrashShop, point: CrashPoint): Promise<number> {
  const { rows } = await database.query<{ offer_id: string; attempts: number }>(
    'select offer_id, attempts from offer_changes where account_id = $1',
    [shop.accountId],
  );
  const most = (offerId: string): number => {
    if (offerId === shop.retriedOffer) return 2;
    if (offerId === shop.stubbornOffer) return 1 + RETRIES;
    // The command, and the write that went instead; or the other way round.
    return point.isCommandLost === true || point.isZeroRefused === true ? 2 : 1;
  };
  return rows.filter(({ offer_id: offerId, attempts }) => attempts > most(offerId)).length;
}
