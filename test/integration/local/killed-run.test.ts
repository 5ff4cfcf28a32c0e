import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { z } from 'zod';

import { parseEnvFile } from '../../../src/env-file.js';
import { canConnect } from '../../../src/local/ports.js';
import { startLocalStack } from '../../../src/local/stack.js';
import { realSystem } from '../../../src/local/system.js';
import { waitUntil } from '../../../src/local/wait-until.js';
import { portOf, stackEnvironment } from './stack-environment.js';

const RUN_STACK = 'test/integration/local/run-stack.ts';
const RUN_LOCAL = 'src/local/main.ts';

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'killed-run-test-'));
  chmodSync(directory, 0o755);
  children = [];
});

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGINT');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
});

interface Running {
  child: ChildProcess;
  /** What it has printed so far, both streams. */
  lines: string[];
  until(text: string): Promise<string>;
  end(): Promise<number | null>;
}

function run(args: readonly string[]): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
    env: stackEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => lines.push(line));
  return {
    child,
    lines,
    async until(text) {
      const found = (): string | undefined => lines.find((line) => line.includes(text));
      await waitUntil(() => found() !== undefined || child.exitCode !== null, 40_000);
      const line = found();
      if (line === undefined) throw new Error(`"${text}" was not printed, but:\n${lines.join('\n')}`);
      return line;
    },
    async end() {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      return child.exitCode;
    },
  };
}

const readyLine = z.object({ databaseUrl: z.string(), redisUrl: z.string(), address: z.string() });

describe('after a run that was killed', () => {
  // With setpriv the kernel stops the servers with us; without it the next start has to find and stop them.
  it.each(['no program', 'setpriv'])('the next start works and has the data (hiding %s)', async (hidden) => {
    const dataDir = join(directory, 'data');
    const killed = run([RUN_STACK, dataDir, hidden]);
    const ready = readyLine.parse(JSON.parse(await killed.until('"databaseUrl"')));
    const client = new pg.Client({ connectionString: ready.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    await client.query(`create table kept as select 'row' as value`);
    killed.child.kill('SIGKILL');
    await killed.end();

    const stack = await startLocalStack({ dataDir, print: () => undefined, system: realSystem(stackEnvironment()) });
    try {
      const again = new pg.Client({ connectionString: stack.databaseUrl });
      await again.connect();
      await expect(again.query('select value from kept')).resolves.toMatchObject({ rows: [{ value: 'row' }] });
      await again.end();
      const ports = [ready.databaseUrl, ready.redisUrl, ready.address].map(portOf);
      const reused = [stack.databaseUrl, stack.redisUrl, stack.temporalAddress].map(portOf);
      for (const port of ports.filter((old) => !reused.includes(old))) {
        await expect(canConnect('127.0.0.1', port)).resolves.toBe(false);
      }
    } finally {
      await client.end().catch(() => undefined);
      await stack.stop();
    }
  });
});

describe('npm run local', () => {
  it('writes the addresses when all servers answer, and removes them when it is stopped', async () => {
    const local = run([RUN_LOCAL, directory]);
    await local.until('Ready. Web UI: http://127.0.0.1:');
    const file = join(directory, 'env');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const variables = parseEnvFile(readFileSync(file, 'utf8'));
    expect(Object.keys(variables)).toEqual([
      'TEMPORAL_ADDRESS',
      'TEMPORAL_NAMESPACE',
      'DATABASE_URL',
      'REDIS_URL',
      'ALLEGRO_API_URL',
      'ALLEGRO_AUTH_URL',
      'ALLEGRO_CLIENT_ID',
      'ALLEGRO_CLIENT_SECRET',
      'ALLEGRO_USER_AGENT',
      'TOKEN_ENCRYPTION_KEY',
    ]);
    const client = new pg.Client({ connectionString: variables['DATABASE_URL'] });
    await client.connect();
    await expect(client.query('select count(*)::int as n from stock_levels')).resolves.toMatchObject({
      rows: [{ n: 0 }],
    });
    await client.end();

    local.child.kill('SIGINT');
    await expect(local.end()).resolves.toBe(0);
    expect(existsSync(file)).toBe(false);
    await expect(canConnect('127.0.0.1', portOf(variables['DATABASE_URL'] ?? ''))).resolves.toBe(false);
  });

  it('refuses a second one on the same data and leaves the first alone', async () => {
    const first = run([RUN_LOCAL, directory]);
    await first.until('Ready. Web UI');
    const second = run([RUN_LOCAL, directory]);
    await expect(second.end()).resolves.toBe(1);
    expect(second.lines.join('\n')).toContain(`already running, started by process ${first.child.pid}`);
    expect(existsSync(join(directory, 'env'))).toBe(true);
    expect(first.child.exitCode).toBeNull();
  });

  it('replaces the addresses that a killed run left', async () => {
    const killed = run([RUN_LOCAL, directory]);
    await killed.until('Ready. Web UI');
    const before = parseEnvFile(readFileSync(join(directory, 'env'), 'utf8'));
    killed.child.kill('SIGKILL');
    await killed.end();

    const next = run([RUN_LOCAL, directory]);
    await next.until('Ready. Web UI');
    const after = parseEnvFile(readFileSync(join(directory, 'env'), 'utf8'));
    expect(after['TOKEN_ENCRYPTION_KEY']).toBe(before['TOKEN_ENCRYPTION_KEY']);
    const client = new pg.Client({ connectionString: after['DATABASE_URL'] });
    await client.connect();
    await client.end();
  });
});
