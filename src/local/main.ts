import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { formatEnvFile, LOCAL_ENV_FILE } from '../env-file.js';
import { migrateToLatest } from '../storage/migrate.js';
import { readOrMakeEncryptionKey } from './encryption-key.js';
import { stopLeftovers } from './process-record.js';
import { startLocalStack, type LocalStack } from './stack.js';
import { SetUpError } from './system.js';

const LOCAL_DIRECTORY = dirname(LOCAL_ENV_FILE);
const DATA_DIRECTORY = join(LOCAL_DIRECTORY, 'data');

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
    TOKEN_ENCRYPTION_KEY: process.env['TOKEN_ENCRYPTION_KEY'] ?? (await readOrMakeEncryptionKey(LOCAL_DIRECTORY)),
  });
  await writeFile(`${LOCAL_ENV_FILE}.new`, text, { mode: 0o600 });
  await rename(`${LOCAL_ENV_FILE}.new`, LOCAL_ENV_FILE);
}

/** Resolves at the first Ctrl-C; a second one ends the process at once (the servers are told to stop even so). */
function waitForStop(): Promise<void> {
  return new Promise((resolve) => {
    // Where all three servers are somebody else's, nothing but this keeps the process alive.
    const staysAlive = setInterval(() => undefined, 60_000);
    let isStopping = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(130);
        isStopping = true;
        clearInterval(staysAlive);
        resolve();
      });
    }
  });
}

async function run(): Promise<void> {
  const stop = waitForStop();
  let isStarted = false;
  void stop.then(() => {
    // Servers and builds that were begun are told to stop by the exit hooks.
    if (!isStarted) process.exit(130);
  });
  await mkdir(LOCAL_DIRECTORY, { recursive: true });
  await stopLeftovers(DATA_DIRECTORY, print);
  await rm(LOCAL_ENV_FILE, { force: true });

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
    await rm(LOCAL_ENV_FILE, { force: true });
    await stack.stop();
  }
  print('Stopped; the data stays under .local/data');
}

run().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof SetUpError ? error.message : error);
    process.exit(1);
  },
);
