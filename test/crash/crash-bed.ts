import type { Client } from '@temporalio/client';
import pg from 'pg';
import { startApplication, type Application } from '../../src/local/application.js';
import { startTelegramStandIn, type TelegramStandIn } from '../../src/local/telegram-stand-in.js';
import { findMissingSearchAttributes } from '../../src/schedule.js';
import { createNamespace, until } from '../integration/cli/temporal-namespace.js';
import { createTestDatabase, testRedisUrl, testWorkflowBundle } from '../servers.js';
import { withDatabase } from '../server-preparation.js';
import { RETRIES } from './crash-shop.js';
import { startHoldingProxy, type HoldingProxy } from './holding-proxy.js';

/** The application as processes, with a proxy on each way out at which it can be held. */
export interface CrashBed {
  readonly application: Application;
  readonly client: Client;
  readonly databaseUrl: string;
  readonly database: pg.Client;
  readonly marketplace: HoldingProxy;
  readonly redis: HoldingProxy;
  readonly telegram: HoldingProxy;
  readonly alerts: TelegramStandIn;
  /** Starts workers until two are at work. */
  haveTwoWorkers(): Promise<void>;
  close(): Promise<void>;
}

/** Beyond those of the jest workers. */
const FIRST_REDIS_DATABASE = 8;

/**
 * @param lane numbers beds that are at work at the same time: each has a Redis database of its own
 * @param env variables of worker and client beside the usual ones
 */
export async function startCrashBed(lane: number, env: Readonly<Record<string, string>> = {}): Promise<CrashBed> {
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne();
  };
  try {
    return await openBed(lane, env, { opened, close });
  } catch (error) {
    await close();
    throw error;
  }
}

async function openBed(
  lane: number,
  env: Readonly<Record<string, string>>,
  { opened, close }: { readonly opened: (() => Promise<void>)[]; readonly close: () => Promise<void> },
): Promise<CrashBed> {
  const testDatabase = await createTestDatabase();
  opened.push(() => testDatabase.drop());
  const temporal = await createNamespace();
  opened.push(() => temporal.close());
  const alerts = await startTelegramStandIn();
  const marketplace = await startHoldingProxy();
  const redis = await startHoldingProxy();
  const telegram = await startHoldingProxy();
  for (const part of [alerts, marketplace, redis, telegram]) opened.push(() => part.stop());
  await until('the search attributes are known', async () => {
    return (await findMissingSearchAttributes(temporal.client.connection, temporal.namespace)).length === 0;
  });
  const redisUrl = withDatabase(testRedisUrl(), String(FIRST_REDIS_DATABASE + lane));
  redis.forwardTo(placeOf(redisUrl));
  telegram.forwardTo(placeOf(alerts.env['TELEGRAM_API_URL'] ?? ''));
  const application = await startApplication({
    stack: {
      temporalAddress: temporal.address,
      temporalNamespace: temporal.namespace,
      databaseUrl: testDatabase.url,
      redisUrl: through(redis, redisUrl),
    },
    simulator: { accounts: [{ sellerId: '44000001', offers: 0 }] },
    print: () => undefined,
    env: {
      WORKFLOW_BUNDLE: testWorkflowBundle(),
      ALLEGRO_SYNC_RETRY_DELAY: '1',
      ALLEGRO_SYNC_RETRY_COUNT: String(RETRIES),
      ALLEGRO_API_URL: `http://127.0.0.1:${marketplace.port}`,
      ALLEGRO_AUTH_URL: `http://127.0.0.1:${marketplace.port}`,
      ...alerts.env,
      TELEGRAM_API_URL: `http://127.0.0.1:${telegram.port}`,
      ...env,
    },
  });
  opened.push(() => application.stop());
  marketplace.forwardTo(placeOf(application.simulatorUrl));
  const database = new pg.Client({ connectionString: testDatabase.url });
  await database.connect();
  opened.push(() => database.end());
  return {
    application,
    client: temporal.client,
    databaseUrl: testDatabase.url,
    database,
    marketplace,
    redis,
    telegram,
    alerts,
    async haveTwoWorkers() {
      const running = application.workers.filter((worker) => !worker.hasEnded()).length;
      await Promise.all(Array.from({ length: 2 - running }, () => application.startWorker()));
    },
    close,
  };
}

function placeOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname, port: port === '' ? (protocol === 'redis:' ? 6379 : 80) : Number(port) };
}

function through(proxy: HoldingProxy, url: string): string {
  const changed = new URL(url);
  changed.hostname = '127.0.0.1';
  changed.port = String(proxy.port);
  return changed.toString();
}
