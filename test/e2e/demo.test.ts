import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { isStillRunning } from '../../src/local/process-identity.js';
import { findMissingSearchAttributes } from '../../src/schedule.js';
import { createNamespace, until, type TestNamespace } from '../integration/cli/temporal-namespace.js';
import { createTestDatabase, testRedisUrl, testTemporalUiUrl, type TestDatabase } from '../servers.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const recordSchema = z.object({ servers: z.array(z.object({ pid: z.number(), startedAt: z.string() })) });

let directory: string;
let namespaces: TestNamespace[];
let databases: TestDatabase[];
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'demo-test-'));
  [namespaces, databases, children] = [[], [], []];
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  for (const namespace of namespaces) await namespace.close();
  for (const database of databases) await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

interface RunningDemo {
  readonly child: ChildProcess;
  output(): string;
  until(text: string): Promise<void>;
  end(): Promise<number | null>;
}

/** The demo with servers that run already, but a database and a namespace of its own. */
async function startDemo(...args: string[]): Promise<RunningDemo> {
  const [namespace, database] = await Promise.all([createNamespace(), createTestDatabase()]);
  namespaces.push(namespace);
  databases.push(database);
  await until('the search attributes are known', async () => {
    return (await findMissingSearchAttributes(namespace.client.connection, namespace.namespace)).length === 0;
  });
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/local/demo.ts', '--directory', directory, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...namespace.env,
      TEMPORAL_UI_URL: testTemporalUiUrl(),
      DATABASE_URL: database.url,
      REDIS_URL: testRedisUrl(),
    },
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    child,
    output: () => output,
    async until(text) {
      await until(text, () => output.includes(text) || hasEnded(), 50_000);
      if (!output.includes(text)) throw new Error(`"${text}" was not printed, but:\n${output}`);
    },
    async end() {
      if (!hasEnded()) await once(child, 'exit');
      return child.exitCode;
    },
  };
}

/** The processes that the demo in this directory has recorded as its own. */
function recordedProcesses(): { pid: number; startedAt: string }[] {
  return recordSchema.parse(JSON.parse(readFileSync(join(directory, 'processes.json'), 'utf8'))).servers;
}

test('Ctrl-C in the middle stops everything that the demo has started', async () => {
  const demo = await startDemo('--once');
  await demo.until('4. The Schedule runs');
  const processes = recordedProcesses();
  expect(processes).toHaveLength(2);
  demo.child.kill('SIGINT');
  expect(await demo.end()).toBe(130);
  expect(processes.filter(isStillRunning)).toEqual([]);
});

test('after a demo that was killed, the next one runs to its end, and every offer holds what it should', async () => {
  const killed = await startDemo('--once');
  await killed.until('4. The Schedule runs');
  killed.child.kill('SIGKILL');
  await killed.end();

  const demo = await startDemo('--once');
  const status = await demo.end();
  const output = demo.output();
  expect(output).toMatch(/Oracle: 6000 offers checked; \d{3} had to change, 3 could not and were told; 0 wrong/);
  expect(output).toContain(', 0 harmful writes');
  expect(output).toMatch(/shop-1 +shop-2 +shop-3/);
  expect(output).toContain('3 offers could not be corrected');
  expect(output).toContain('/metrics/allegro-sync');
  expect(output).toContain(testTemporalUiUrl());
  expect(status).toBe(0);
}, 120_000);
