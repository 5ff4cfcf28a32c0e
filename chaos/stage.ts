import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import pg from 'pg';

import { startApplication, type Application, type ConnectedAccount } from '../src/local/application.js';
import type { Print } from '../src/local/system.js';
import { startTelegramStandIn } from '../src/local/telegram-stand-in.js';
import { migrateToLatest } from '../src/storage/migrate.js';
import { createEdits } from './edits.js';
import type { Scene } from './fault.js';
import { createOverheard, type Overheard } from './overheard.js';
import { startServers } from './servers.js';
import { catalogueOf, ENVIRONMENT, SIMULATOR_SETTINGS, WORKERS } from './shop.js';
import { startTcpProxy } from './tcp-proxy.js';
import { openWarehouse } from './warehouse.js';
import { startWorkers } from './workers.js';

/** Everything set up and well: servers, marketplace, workers, accounts, stock, Schedule. */
export interface Stage extends Scene {
  readonly accounts: readonly ConnectedAccount[];
  readonly overheard: Overheard;
  /** Of simulator and workers; those of the servers are in `directory`. */
  readonly logDirectory: string;
  /** What was started, stopped in the order it needs. */
  stop(): Promise<void>;
}

export async function setStage(seed: number, directory: string, print: Print): Promise<Stage> {
  const started: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    return await start(seed, directory, { print, started, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  seed: number,
  directory: string,
  { print, started, stop }: { print: Print; started: (() => Promise<void> | void)[]; stop: () => Promise<void> },
): Promise<Stage> {
  const servers = await startServers(directory, print);
  started.push(() => servers.stop());
  const telegram = await startTelegramStandIn();
  started.push(() => telegram.stop());
  const overheard = createOverheard();
  const marketplaceNetwork = await startTcpProxy({ targetPort: 0, onData: (data) => overheard.hear(data) });
  started.push(() => marketplaceNetwork.stop());
  const logDirectory = join(directory, 'application');
  const marketplaceUrl = `http://127.0.0.1:${marketplaceNetwork.port}`;
  await migrateToLatest(servers.postgres.steadyAddress);

  const application = await startApplication({
    stack: {
      temporalAddress: servers.temporal.address,
      temporalNamespace: servers.temporalNamespace,
      databaseUrl: servers.postgres.address,
      redisUrl: servers.redis.address,
    },
    simulator: { ...catalogueOf(seed), settings: SIMULATOR_SETTINGS },
    env: {
      ...ENVIRONMENT,
      ...telegram.env,
      ALLEGRO_API_URL: marketplaceUrl,
      ALLEGRO_AUTH_URL: marketplaceUrl,
      WORKFLOW_BUNDLE: await bundleWorkflows(directory),
    },
    workers: 0,
    directory: logDirectory,
    // Ends of workers are told by those who watch them.
    print: () => undefined,
  });
  started.push(() => application.stop());
  marketplaceNetwork.forwardTo(Number(new URL(application.simulatorUrl).port));
  const database = openPool(servers.postgres.steadyAddress);
  started.push(() => database.end());

  const warehouse = await openWarehouse(application.admin, servers.postgres.steadyAddress);
  await warehouse.book();
  const accounts = await application.connectAccounts('live');
  await command(application, ['schedule', 'apply']);
  const workers = await startWorkers({ application, count: WORKERS, print });
  started.push(() => workers.stop());
  print(`${WORKERS} workers, ${accounts.length} accounts; logs in ${directory}`);
  const parts = { application, servers, workers, marketplaceNetwork, telegram, warehouse, database, directory };
  return { ...parts, edits: createEdits(), accounts, overheard, logDirectory, stop };
}

async function bundleWorkflows(directory: string): Promise<string> {
  const workflowsPath = fileURLToPath(new URL('../src/workflows/index.ts', import.meta.url));
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
  const file = join(directory, 'workflow-bundle.js');
  await writeFile(file, code);
  return file;
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2 });
  // Lost when the server is restarted.
  pool.on('error', () => undefined);
  return pool;
}

async function command({ runClient }: Application, args: readonly string[]): Promise<void> {
  const { status, stderr } = await runClient(args);
  if (status !== 0) throw new Error(`"${args.join(' ')}" ended with exit status ${status}: ${stderr}`);
}
