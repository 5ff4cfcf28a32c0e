import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { formatEnvFile, LOCAL_ENV_FILE } from '../env-file.js';
import { migrateToLatest } from '../storage/migrate.js';
import { readOrMakeEncryptionKey } from './encryption-key.js';
import { stopLeftovers } from './process-record.js';
import { startLocalStack, type LocalStack } from './stack.js';
import { waitForStopRequest } from './stop-request.js';
import { SetUpError } from './system.js';

/** `.local`, where the other commands look; an argument names another directory. */
const LOCAL_DIRECTORY = resolve(process.argv[2] ?? dirname(LOCAL_ENV_FILE));
const DATA_DIRECTORY = join(LOCAL_DIRECTORY, 'data');
const ENV_FILE = join(LOCAL_DIRECTORY, 'env');

/** `npm run simulator` at its usual port. Whoever sets ALLEGRO_… variables of a real application gets none of these. */
const SIMULATED_ALLEGRO = {
  ALLEGRO_API_URL: 'http://127.0.0.1:8080',
  ALLEGRO_AUTH_URL: 'http://127.0.0.1:8080',
  ALLEGRO_CLIENT_ID: 'local-client',
  ALLEGRO_CLIENT_SECRET: 'local-client-secret',
  ALLEGRO_USER_AGENT: 'allegro-stock-sync/0.1.0 (+https://example.org/allegro-stock-sync)',
};

function print(line: string): void {
  console.log(line);
}

/** Written beside and renamed, so that a worker started at this moment reads all of it or nothing. */
async function writeEnvFile(stack: LocalStack): Promise<void> {
  const text = formatEnvFile({
    TEMPORAL_ADDRESS: stack.temporalAddress,
    TEMPORAL_NAMESPACE: stack.temporalNamespace,
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: stack.redisUrl,
    ...SIMULATED_ALLEGRO,
    TOKEN_ENCRYPTION_KEY: process.env['TOKEN_ENCRYPTION_KEY'] ?? (await readOrMakeEncryptionKey(LOCAL_DIRECTORY)),
  });
  await writeFile(`${ENV_FILE}.new`, text, { mode: 0o600 });
  await rename(`${ENV_FILE}.new`, ENV_FILE);
}

async function run(): Promise<void> {
  const stop = waitForStopRequest();
  let isStarted = false;
  void stop.then(() => {
    // Servers and builds that were begun are told to stop by the exit hooks.
    if (!isStarted) process.exit(130);
  });
  await mkdir(LOCAL_DIRECTORY, { recursive: true });
  await stopLeftovers(DATA_DIRECTORY, print);
  await rm(ENV_FILE, { force: true });

  const stack = await startLocalStack({ dataDir: DATA_DIRECTORY, preferUsualPorts: true, print });
  isStarted = true;
  try {
    await migrateToLatest(stack.databaseUrl);
    print('PostgreSQL: migrated to the newest schema');
    await writeEnvFile(stack);
    print(`\nReady. Web UI: ${stack.temporalUiUrl}`);
    print('In other terminals: npm run simulator, npm run worker, npm run client -- --help. Ctrl-C stops the servers.');
    await stop;
  } finally {
    print('\nStopping');
    await rm(ENV_FILE, { force: true });
    await stack.stop();
  }
  print(`Stopped; the data stays in ${DATA_DIRECTORY}`);
}

run().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof SetUpError ? error.message : error);
    process.exit(1);
  },
);
