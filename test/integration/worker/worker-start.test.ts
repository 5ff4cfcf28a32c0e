import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  createTestDatabase,
  createUnmigratedDatabase,
  testRedisUrl,
  testTemporalAddress,
  testTemporalNamespace,
  testWorkflowBundle,
  type TestDatabase,
} from '../../servers.js';

const WORKER = fileURLToPath(new URL('../../../src/worker.ts', import.meta.url));
let database: TestDatabase;
let unmigrated: TestDatabase;

beforeAll(async () => {
  [database, unmigrated] = await Promise.all([createTestDatabase(), createUnmigratedDatabase()]);
});

afterAll(async () => {
  await Promise.all([database.drop(), unmigrated.drop()]);
});

function environment(change: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    ALLEGRO_API_URL: 'http://127.0.0.1:9',
    ALLEGRO_AUTH_URL: 'http://127.0.0.1:9',
    ALLEGRO_CLIENT_ID: 'worker-start',
    ALLEGRO_CLIENT_SECRET: 'worker-start-secret',
    ALLEGRO_USER_AGENT: 'WorkerStart/1.0.0 (+https://example.org)',
    DATABASE_URL: database.url,
    REDIS_URL: testRedisUrl(),
    TEMPORAL_ADDRESS: testTemporalAddress(),
    TEMPORAL_NAMESPACE: testTemporalNamespace(),
    TOKEN_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    WORKFLOW_BUNDLE: testWorkflowBundle(),
    HTTP_PORT: '0',
    ...change,
  };
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the worker until it ends by itself, or says that it is ready and is told to stop. */
async function runWorker(env: Record<string, string>): Promise<Ended> {
  const worker = spawn(process.execPath, ['--import', 'tsx', WORKER], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let isStopped = false;
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    // Once: a second signal ends a worker that is still busy stopping.
    if (!isStopped && output.includes('allegro_sync_ready')) isStopped = worker.kill('SIGTERM');
  };
  worker.stdout.on('data', read);
  worker.stderr.on('data', read);
  const ended = once(worker, 'close');
  await ended;
  return { status: worker.exitCode, output };
}

describe('the worker at its start', () => {
  test('says when it is ready, and stops cleanly when told so', async () => {
    const { status, output } = await runWorker(environment());
    expect(output).toContain('worker is ready');
    expect(output).toContain('worker has stopped');
    expect(status).toBe(0);
  });

  test('ends with status 2 on a wrong configuration, naming every variable, before it connects', async () => {
    const { status, output } = await runWorker(
      environment({ ALLEGRO_SYNC_RATE_LIMIT: 'many', TOKEN_ENCRYPTION_KEY: 'short', TEMPORAL_ADDRESS: '127.0.0.1:9' }),
    );
    expect(status).toBe(2);
    expect(output).toContain('ALLEGRO_SYNC_RATE_LIMIT must be a whole number');
    expect(output).toContain('TOKEN_ENCRYPTION_KEY');
  });

  test('ends at once when the database is not migrated, and says what to run', async () => {
    const { status, output } = await runWorker(environment({ DATABASE_URL: unmigrated.url }));
    expect(status).toBe(1);
    expect(output).toContain('the database is not migrated');
    expect(output).toContain('npm run migrate');
  });

  test('says which part cannot be reached and tries again', async () => {
    const worker = spawn(process.execPath, ['--import', 'tsx', WORKER], {
      env: environment({ REDIS_URL: 'redis://127.0.0.1:9' }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    const repeated = new Promise<void>((resolve) => {
      worker.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.split('Redis cannot be reached yet').length > 2) resolve();
      });
    });
    await repeated;
    worker.kill('SIGKILL');
    await once(worker, 'close');
    expect(output).toContain('connect ECONNREFUSED 127.0.0.1:9');
    expect(output).not.toContain('worker is ready');
  });

  test('names the search attributes that are not registered, with the command that registers them', async () => {
    // Every server has this namespace for itself, without the attributes of an application.
    const { status, output } = await runWorker(environment({ TEMPORAL_NAMESPACE: 'temporal-system' }));
    expect(status).toBe(1);
    expect(output).toContain('search attributes are not registered');
    expect(output).toContain('temporal operator search-attribute create');
    expect(output).toContain('--name SyncOutcome --type Keyword');
  });
});
