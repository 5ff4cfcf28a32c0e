import { reportLoginPauses } from './activities/report-run.js';
import { isRefreshTokenDying, refreshTokenExpiresAt } from './allegro/tokens.js';
import type { Logger } from './observability/logger.js';
import type { Metrics } from './observability/metrics.js';
import { judgeSyncHealth } from './observability/sync-health.js';
import { remindOfOpenProblems } from './notifications/remind.js';
import { tellOver, tellProblem } from './notifications/tell.js';
import { readAccountFreshness } from './storage/account-freshness.js';
import type { Db } from './storage/database.js';
import { countOpenIncidents, isIncidentOpen, resolveIncidents } from './storage/incidents.js';
import { readLogins, readToldOfAccounts } from './storage/logins.js';
import { readOutboxState } from './storage/outbox.js';
import { readStopSwitch } from './storage/stop-switch.js';
import { createTemporalWatch, type TemporalFacts, type TemporalWatch } from './temporal-watch.js';

export interface UpkeepServices {
  readonly db: Db;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly scheduleSeconds: number;
  readonly deliverMessages: () => Promise<unknown>;
  /** Asks Temporal; rejects when it is away. */
  readonly readTemporal: () => Promise<TemporalFacts>;
}

const EVERY_MS = 15_000;
const SILENCE = 'NoCompleteRun';
const EXPIRES = 'LoginExpires';

/**
 * What must happen even when no workflow runs, since silence is a fault too: messages that wait are sent, accounts
 * without a complete run or a login are told, gauges are set. Every process may do it: incidents and messages are one per problem.
 */
export function startUpkeep(services: UpkeepServices): { stop(): Promise<void> } {
  let isStopping = false;
  const temporal = createTemporalWatch(services.db);
  let round = Promise.resolve();
  const timer = setInterval(() => {
    round = round.then(() => (isStopping ? undefined : keepUp(services, temporal)));
  }, EVERY_MS);
  return {
    async stop() {
      isStopping = true;
      clearInterval(timer);
      await round;
    },
  };
}

async function keepUp(services: UpkeepServices, temporal: TemporalWatch): Promise<void> {
  const { db, metrics, logger } = services;
  try {
    await lookAtTemporal(services, temporal);
    const silentCount = await tellSilence(services);
    await reportLoginPauses(db);
    await tellDyingLogins(db);
    await remindOfOpenProblems(db);
    await services.deliverMessages();
    const [outbox, incidents, stop] = await Promise.all([
      readOutboxState(db),
      countOpenIncidents(db),
      readStopSwitch(db),
    ]);
    metrics.setGauge('waiting_alerts', outbox.waiting);
    metrics.setGauge(
      'open_incidents',
      Object.values(incidents).reduce((sum, count) => sum + count, 0),
    );
    metrics.setGauge('stale_accounts', silentCount);
    metrics.setGauge('is_stopped', stop.isStopped ? 1 : 0);
  } catch (error) {
    logger.warn({ err: error, event: 'allegro_sync_upkeep_failed' }, 'upkeep could not be done; it is tried again');
  }
}

/** Tells, once per login, that it dies unused within 14 days, and that it is over when its tokens were renewed. */
export async function tellDyingLogins(db: Db, now = new Date()): Promise<void> {
  const told = await readToldOfAccounts(db, EXPIRES);
  for (const { accountId, accountName, storedAt } of await readLogins(db)) {
    const account = { accountId, accountName };
    const before = told.get(accountId);
    if (!isRefreshTokenDying({ storedAt }, now)) {
      if (before?.isOpen !== true) continue;
      await db
        .transaction()
        .execute((trx) => tellOver(trx, { account, filter: { classes: [EXPIRES], offerIds: null }, now }));
    } else if (before === undefined || before.lastSeenAt < storedAt) {
      await db.transaction().execute((trx) =>
        tellProblem(trx, {
          account,
          class: EXPIRES,
          title: 'The login of the account is about to expire',
          details:
            `Nothing has used it since ${storedAt.toISOString()}, and renewing it has failed: on ` +
            `${refreshTokenExpiresAt({ storedAt }).toISOString()} Allegro forgets it.`,
          action: `allegro-stock-sync accounts authorize ${accountId}`,
        }),
      );
    }
  }
}

/** Temporal being away is no reason to leave the rest undone: `/readyz` and the log say so. */
async function lookAtTemporal({ readTemporal, logger }: UpkeepServices, watch: TemporalWatch): Promise<void> {
  let facts: TemporalFacts;
  try {
    facts = await readTemporal();
  } catch (error) {
    logger.warn({ err: error, event: 'allegro_sync_upkeep_failed' }, 'Temporal could not be asked; it is asked again');
    return;
  }
  await watch.look(facts);
}

/**
 * Tells of live accounts without a complete run within two intervals, and of those that have one again. Of an account
 * that is not expected to run any more nothing is told: its silence is no problem, but not over either.
 * @returns how many are silent
 */
export async function tellSilence({
  db,
  scheduleSeconds,
}: Pick<UpkeepServices, 'db' | 'scheduleSeconds'>): Promise<number> {
  const accounts = await readAccountFreshness(db);
  const names = new Map(accounts.map(({ accountId, name }) => [accountId, name]));
  const health = judgeSyncHealth(accounts, { now: new Date(), intervalSeconds: scheduleSeconds });
  for (const { accountId, state, lastCompleteAt } of health) {
    const account = { accountId, accountName: names.get(accountId) ?? accountId };
    const filter = { classes: [SILENCE], offerIds: null };
    if (state === 'fresh') await db.transaction().execute((trx) => tellOver(trx, { account, filter }));
    else if (state !== 'stale') await resolveIncidents(db, { accountId, ...filter });
    // A look is no repetition of the problem.
    else if (!(await isIncidentOpen(db, SILENCE, accountId))) {
      await db.transaction().execute((trx) =>
        tellProblem(trx, {
          account,
          class: SILENCE,
          title: 'No complete run within two intervals',
          details: `The last run that saw every offer of this account began: ${lastCompleteAt ?? 'never'}.`,
          action: 'allegro-stock-sync status',
        }),
      );
    }
  }
  return health.filter(({ state }) => state === 'stale').length;
}
