import { createQuotas } from '../allegro/quotas.js';
import { judgeSyncHealth, type AccountHealth } from '../observability/sync-health.js';
import { findUnpolledQueues } from '../pollers.js';
import type { ScopeUsage } from '../rate-limit/limiter.js';
import { readSchedule, type ScheduleState } from '../schedule.js';
import { listAccounts, type AccountRecord } from '../storage/accounts.js';
import { listIncidents, type Incident } from '../storage/incidents.js';
import { readOutboxState, type OutboxState } from '../storage/outbox.js';
import { countSharedSkus, lastRuns, type RunReport, type SharedSkus } from '../storage/reports.js';
import { readUnreadableSales, type UnreadableSales } from '../storage/sales.js';
import { readStopSwitch, type StopSwitch } from '../storage/stop-switch.js';
import { messageOf } from './failures.js';
import type { Services } from './services.js';

/** What could not be asked, and why. */
export interface Unavailable {
  readonly unavailable: string;
}

export interface AccountStatus extends AccountRecord {
  readonly lastRun: RunReport | null;
  readonly health: AccountHealth['state'];
  /** Since the last run that saw every offer; null: there was none. */
  readonly completeAgeSeconds: number | null;
}

export interface StatusFacts {
  readonly schedule: ScheduleState | Unavailable | null;
  /** Task queues that no worker has polled in the last minute; empty: all are. */
  readonly unpolledQueues: readonly string[] | Unavailable;
  readonly stopSwitch: StopSwitch;
  readonly accounts: readonly AccountStatus[];
  readonly openIncidents: readonly Incident[];
  readonly limiter: readonly ScopeUsage[] | Unavailable;
  readonly alerts: { readonly destination: string | null } & OutboxState;
  readonly sharedSkus: SharedSkus;
  /** Accounts whose sales hold no raise, since they could not be read. */
  readonly unreadableSales: readonly UnreadableSales[];
}

const INCIDENTS_SHOWN = 1_000;

export function isUnavailable(part: object): part is Unavailable {
  return 'unavailable' in part;
}

/** The database must answer; what else is away is told as such. */
export async function gatherStatus(services: Services, now = new Date()): Promise<StatusFacts> {
  const db = await services.database();
  const [
    schedule,
    unpolledQueues,
    limiter,
    stopSwitch,
    accounts,
    runs,
    openIncidents,
    waiting,
    sharedSkus,
    unreadableSales,
  ] = await Promise.all([
    orUnavailable(async () => readSchedule((await services.temporal()).client)),
    orUnavailable(async () => findUnpolledQueues(await services.temporal())),
    orUnavailable(() => readLimiter(services)),
    readStopSwitch(db),
    listAccounts(db),
    lastRuns(db),
    listIncidents(db, { state: 'open', limit: INCIDENTS_SHOWN }),
    readOutboxState(db),
    countSharedSkus(db),
    readUnreadableSales(db),
  ]);
  return {
    schedule,
    unpolledQueues,
    stopSwitch,
    limiter,
    openIncidents,
    sharedSkus,
    unreadableSales,
    accounts: accounts.map((account) => ({
      ...account,
      lastRun: runs.find(({ accountId }) => accountId === account.accountId) ?? null,
      health: healthOf(account, now, services.config('sync').scheduleSeconds),
      completeAgeSeconds: ageSeconds(account.lastCompleteAt, now),
    })),
    alerts: { destination: services.notifier()?.destination ?? null, ...waiting },
  };
}

async function readLimiter(services: Services): Promise<ScopeUsage[]> {
  const limiter = await services.limiter();
  return limiter.usage(createQuotas(services.config('sync').rateLimit).application);
}

async function orUnavailable<Part>(read: () => Promise<Part>): Promise<Part | Unavailable> {
  try {
    return await read();
  } catch (error) {
    return { unavailable: messageOf(error) };
  }
}

function healthOf(account: AccountRecord, now: Date, intervalSeconds: number): AccountHealth['state'] {
  const isPaused = account.pausedReason !== null;
  const [health] = judgeSyncHealth([{ ...account, isPaused }], { now, intervalSeconds });
  return health?.state ?? 'stale';
}

function ageSeconds(since: Date | null, now: Date): number | null {
  return since === null ? null : Math.max(0, Math.round((now.getTime() - since.getTime()) / 1000));
}
