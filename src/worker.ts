import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createActivities, createMarketplaceActivities } from './activities/index.js';
import { createRequestCounter, type RequestCounter } from './activities/request-counter.js';
import type { ActivityServices } from './activities/services.js';
import type { RequestReport } from './allegro/http-client.js';
import { createAllegro } from './allegro/marketplace.js';
import { ConfigurationError, configuredSecrets, readConfig, type Config } from './config.js';
import { loadLocalEnv } from './env-file.js';
import { createConfiguredNotifier } from './notifications/configured-notifier.js';
import { deliverOutbox } from './notifications/deliver.js';
import { createLogNotifier } from './notifications/log-notifier.js';
import { startHttpServer } from './observability/http-server.js';
import { createLogger, type Logger } from './observability/logger.js';
import { createMetrics, type Metrics } from './observability/metrics.js';
import { createScrubber, type Scrubber } from './observability/scrubber.js';
import { logSyncError, logSyncOperation } from './observability/sync-events.js';
import { freeMetricsAddress, temporalRuntimeOptions } from './observability/temporal-runtime.js';
import { createRateLimiter } from './rate-limit/limiter.js';
import { findUnpolledQueues } from './pollers.js';
import { explainMissingSearchAttributes, findMissingSearchAttributes, readSchedule } from './schedule.js';
import { connectPatiently, NotUsable } from './startup.js';
import { readAccountFreshness } from './storage/account-freshness.js';
import { openDatabase, type Db } from './storage/database.js';
import { createEncryption } from './storage/encryption.js';
import { withLearnedTokens } from './storage/learned-tokens.js';
import { pendingMigrations } from './storage/migrate.js';
import { readStopSwitch } from './storage/stop-switch.js';
import { createTokenStore } from './storage/token-store.js';
import { startUpkeep } from './upkeep.js';
import { MARKETPLACE_SLOTS, MARKETPLACE_TASK_QUEUE, TASK_QUEUE } from './workflows/api.js';

const BOOKKEEPING_SLOTS = 50;
/**
 * How long a workflow task waits for the worker that has the workflow in its memory. Of a killed worker nobody knows
 * that it is gone: this comes on top of the heartbeat time-out until another one goes on (by default 10 s more).
 */
const STICKY_PATIENCE = '2 seconds';
/**
 * How long one step of a workflow may take. Node ends the process ("async hook stack has become corrupted") when a step is
 * cut off, as happens by default after 5 s to one in which the worker was stopped or got no processor. The SDK has this
 * option and does not declare it.
 */
const STEP_PATIENCE = { isolateExecutionTimeout: '1 minute' };
/** ~1 MB each; an account's run is one. */
const CACHED_WORKFLOWS = 300;
/** A batch ends the request it is at well within this. */
const SHUTDOWN_GRACE = '20 seconds';
/**
 * `npm run build` puts it beside the compiled worker. From the sources there is none and they are bundled at the start,
 * unless the one who starts many workers (tests, the bench) has bundled them before and names the file.
 */
const WORKFLOW_BUNDLE =
  process.env['WORKFLOW_BUNDLE'] ?? fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/** Runs the workers of both task queues until SIGTERM or Ctrl-C, then stops gracefully. */
async function main(): Promise<void> {
  loadLocalEnv();
  const config = readConfig(process.env);
  const scrubber = createScrubber(configuredSecrets(process.env));
  const logger = createLogger({ level: config.log.level, scrubber });
  const sdkMetricsAddress = await freeMetricsAddress();
  Runtime.install(temporalRuntimeOptions({ logger, metricsAddress: sdkMetricsAddress }));

  const parts = await connectParts(config, { logger, scrubber });
  const { db, redis, temporal } = parts;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = createMetrics({ redis, registry });
  const limiter = createRateLimiter({
    redis,
    clientId: config.allegro.clientId,
    onEvent: (event) => {
      metrics.limiterReported(event);
      logger.warn({ event: 'allegro_sync_limiter', ...event }, 'the rate limiter reports');
    },
  });
  const requests = createRequestCounter();
  const allegro = createAllegro({
    ...config.allegro,
    requestsPerMinute: config.sync.rateLimit,
    limiter,
    tokenStore: withLearnedTokens(
      createTokenStore({
        db,
        databaseUrl: config.database.url,
        encryption: createEncryption(config.encryption.key, config.encryption.previousKeys),
      }),
      (secret) => scrubber.learn(secret),
    ),
    stopSwitch: { isStopped: async () => (await readStopSwitch(db)).isStopped },
    onRequest: (report) => recordRequest(report, { logger, metrics, requests }),
  });
  const notifier = createConfiguredNotifier(config.notifications) ?? createLogNotifier(logger);
  const deliverMessages = () => deliverOutbox({ db, notifier, logger });
  const services: ActivityServices = {
    db,
    marketplace: allegro.marketplace,
    events: allegro.events,
    sync: config.sync,
    logger,
    requests,
    metrics,
    deliverMessages,
  };

  const workers = await createWorkers(config, temporal, services);
  const { namespace } = config.temporal;
  const client = new Client({ connection: temporal, namespace });
  const upkeep = startUpkeep({
    db,
    metrics,
    logger,
    scheduleSeconds: config.sync.scheduleSeconds,
    deliverMessages,
    readTemporal: async () => ({
      schedule: await readSchedule(client),
      unpolledQueues: await findUnpolledQueues({ client, namespace }),
    }),
  });
  const http = await startHttpServer({
    ...config.http,
    logger,
    registry,
    sdkMetricsAddress,
    readSummary: () => metrics.readSummary(),
    checks: {
      temporal: async () => {
        await temporal.workflowService.getSystemInfo({});
      },
      postgres: async () => {
        await sql`select 1`.execute(db);
      },
      redis: async () => {
        await redis.ping();
      },
      limiter: () => limiter.findTrouble(),
      scrub: (text) => scrubber.scrub(text),
    },
    readAccounts: () => readAccountFreshness(db),
    scheduleSeconds: config.sync.scheduleSeconds,
  });
  // From here on a signal is theirs: ready is what can also be stopped.
  const running = Promise.all(workers.map((worker) => worker.run()));
  logger.info({ event: 'allegro_sync_ready', http: http.url, notifier: notifier.destination }, 'worker is ready');

  try {
    await running;
  } finally {
    await http.close();
    await upkeep.stop();
    allegro.close();
    limiter.close();
    await metrics.close();
    await temporal.close();
    redis.disconnect();
    await db.destroy();
    logger.info({ event: 'allegro_sync_stopped' }, 'worker has stopped');
  }
}

interface Parts {
  readonly db: Db;
  readonly redis: Redis;
  readonly temporal: NativeConnection;
}

async function connectParts(config: Config, told: { logger: Logger; scrubber: Scrubber }): Promise<Parts> {
  const services = { logger: told.logger, scrub: (text: string) => told.scrubber.scrub(text) };
  const db = openDatabase(config.database.url, { applicationName: 'allegro-stock-sync worker', maxConnections: 20 });
  const redis = new Redis(config.redis.url, {
    connectionName: 'allegro-stock-sync-worker',
    // A request that cannot have its permit now must learn so, not wait for Redis to come back.
    maxRetriesPerRequest: 1,
    // Permits that are asked for in one go are one packet.
    enableAutoPipelining: true,
    connectTimeout: 3_000,
    retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
  });
  const fault: { newest: Error | null } = { newest: null };
  redis.on('error', (error) => (fault.newest = error));
  // A command that could not be sent only tells that; why is told to the listener.
  const pingRedis = async (): Promise<void> => {
    try {
      await redis.ping();
    } catch (error) {
      throw fault.newest ?? error;
    }
  };
  const [, , temporal] = await Promise.all([
    connectPatiently('PostgreSQL', () => checkDatabase(db), services),
    connectPatiently('Redis', pingRedis, services),
    connectPatiently('Temporal', () => connectTemporal(config), services),
  ]);
  return { db, redis, temporal };
}

async function checkDatabase(db: Db): Promise<void> {
  await sql`select 1`.execute(db);
  const pending = await pendingMigrations(db);
  if (pending.length === 0) return;
  throw new NotUsable(`the database is not migrated (missing: ${pending.join(', ')}). Run: npm run migrate`);
}

async function connectTemporal({ temporal }: Config): Promise<NativeConnection> {
  const connection = await NativeConnection.connect(temporal.connectionOptions);
  const missing = await findMissingSearchAttributes(connection, temporal.namespace);
  if (missing.length === 0) return connection;
  await connection.close();
  throw new NotUsable(explainMissingSearchAttributes(missing, temporal));
}

async function createWorkers(
  config: Config,
  connection: NativeConnection,
  services: ActivityServices,
): Promise<Worker[]> {
  const shared = {
    connection,
    namespace: config.temporal.namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    // Cancellation and progress are seen within a second, whatever the heartbeat time-out.
    maxHeartbeatThrottleInterval: '1 second',
  } satisfies Partial<WorkerOptions>;
  const workflows = existsSync(WORKFLOW_BUNDLE)
    ? { workflowBundle: { codePath: WORKFLOW_BUNDLE } }
    : { workflowsPath: fileURLToPath(new URL(`./workflows/index${import.meta.url.slice(-3)}`, import.meta.url)) };
  return Promise.all([
    Worker.create({
      ...shared,
      ...workflows,
      ...STEP_PATIENCE,
      taskQueue: TASK_QUEUE,
      activities: createActivities(services),
      maxConcurrentActivityTaskExecutions: BOOKKEEPING_SLOTS,
      maxCachedWorkflows: CACHED_WORKFLOWS,
      stickyQueueScheduleToStartTimeout: STICKY_PATIENCE,
    }),
    Worker.create({
      ...shared,
      taskQueue: MARKETPLACE_TASK_QUEUE,
      activities: createMarketplaceActivities(services),
      maxConcurrentActivityTaskExecutions: MARKETPLACE_SLOTS,
    }),
  ]);
}

/** Every request to the marketplace: counted for its run, measured, logged. */
function recordRequest(
  report: RequestReport,
  { logger, metrics, requests }: { logger: Logger; metrics: Metrics; requests: RequestCounter },
): void {
  const wasSent = report.durationMs > 0 || report.status !== null;
  if (wasSent && report.runId !== undefined) requests.count(report.runId);
  if (wasSent) metrics.requestFinished(report);
  const { accountId, status, traceId, method, route, error, ...rest } = report;
  const fields = {
    ...rest,
    ...(accountId === null ? {} : { accountId }),
    ...(status === null ? {} : { status }),
    ...(traceId === null ? {} : { traceId }),
  };
  if (error === undefined) logSyncOperation(logger, fields);
  else logSyncError(logger, { ...fields, errorClass: error, message: `${method} ${route}` });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    // Its examples look like secrets, and it never repeats a value.
    if (error instanceof ConfigurationError) {
      console.error(error.message);
      process.exit(2);
    }
    const message = error instanceof Error ? error.message : 'the worker failed';
    console.error(createScrubber(configuredSecrets(process.env)).scrub(message));
    process.exit(1);
  },
);
