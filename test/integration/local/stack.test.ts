import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

import { canConnect, findFreePort, isPortFree } from '../../../src/local/ports.js';
import { startLocalStack, type LocalStack, type LocalStackOptions } from '../../../src/local/stack.js';
import { realSystem } from '../../../src/local/system.js';
import { portOf, stackEnvironment } from './stack-environment.js';

let directory: string;
let stacks: LocalStack[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stack-test-'));
  chmodSync(directory, 0o755);
  stacks = [];
});

afterEach(async () => {
  await Promise.all(stacks.map((stack) => stack.stop()));
  rmSync(directory, { recursive: true, force: true });
});

async function start(options: Partial<LocalStackOptions> = {}): Promise<LocalStack> {
  const stack = await startLocalStack({ print: () => undefined, system: realSystem(stackEnvironment()), ...options });
  stacks.push(stack);
  return stack;
}

/** One value from PostgreSQL, as text. */
async function queryValue(url: string, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: string }>(sql);
    return rows[0]?.value ?? '';
  } finally {
    await client.end();
  }
}

async function askRedis(url: string, ask: (redis: Redis) => Promise<unknown>): Promise<unknown> {
  const redis = new Redis(url);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

async function readSearchAttributes(stack: LocalStack): Promise<string[]> {
  const connection = await Connection.connect({ address: stack.temporalAddress });
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: stack.temporalNamespace,
    });
    return Object.keys(customAttributes);
  } finally {
    await connection.close();
  }
}

function portsOf(stack: LocalStack): number[] {
  return [stack.temporalAddress, stack.temporalUiUrl, stack.databaseUrl, stack.redisUrl].map(portOf);
}

describe('the local stack', () => {
  it('answers on all its addresses when it is said to have started, and leaves nothing behind', async () => {
    // A directory of its own for temporary files, so that what is left there can only come from this stack.
    const previous = process.env['TMPDIR'];
    process.env['TMPDIR'] = directory;
    const stack = await start().finally(() => {
      if (previous === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = previous;
    });
    await expect(readSearchAttributes(stack)).resolves.toEqual(
      expect.arrayContaining(['AccountId', 'SyncTrigger', 'SyncOutcome']),
    );
    await expect(queryValue(stack.databaseUrl, 'select current_database() as value')).resolves.toBe(
      'allegro_stock_sync',
    );
    await expect(askRedis(stack.redisUrl, (redis) => redis.config('GET', 'maxmemory-policy'))).resolves.toEqual([
      'maxmemory-policy',
      'noeviction',
    ]);
    await expect(fetch(stack.temporalUiUrl).then((page) => page.status)).resolves.toBe(200);

    await stack.stop();
    await stack.stop();
    await expect(Promise.all(portsOf(stack).map(isPortFree))).resolves.toEqual([true, true, true, true]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('keeps the data of all three servers in its directory', async () => {
    const dataDir = join(directory, 'data');
    const first = await start({ dataDir });
    await queryValue(first.databaseUrl, `create table kept (value text)`);
    await queryValue(first.databaseUrl, `insert into kept values ('row')`);
    await askRedis(first.redisUrl, (redis) => redis.set('kept', 'key'));
    await first.stop();
    expect(existsSync(join(dataDir, 'temporal.db'))).toBe(true);

    const second = await start({ dataDir });
    await expect(queryValue(second.databaseUrl, 'select value from kept')).resolves.toBe('row');
    await expect(askRedis(second.redisUrl, (redis) => redis.get('kept'))).resolves.toBe('key');
    await expect(readSearchAttributes(second)).resolves.toEqual(expect.arrayContaining(['SyncOutcome']));
  });

  it('keeps PostgreSQL usable in a directory that only its owner may enter', async () => {
    const closed = join(directory, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const lines: string[] = [];
    const stack = await start({ dataDir: join(closed, 'data'), print: (line) => lines.push(line) });
    await expect(queryValue(stack.databaseUrl, `select 'in' as value`)).resolves.toBe('in');
    // Only for root, who cannot run PostgreSQL, do the data lie elsewhere.
    const home = await queryValue(
      stack.databaseUrl,
      `select setting as value from pg_settings where name = 'data_directory'`,
    );
    await stack.stop();
    const isElsewhere = !home.startsWith(closed);
    expect(isElsewhere).toBe(process.getuid?.() === 0);
    expect(lines.some((line) => line.startsWith('PostgreSQL: data in '))).toBe(isElsewhere);
    rmSync(join(home, '..'), { recursive: true, force: true });
  });

  it('uses servers that variables name, and does not stop them', async () => {
    const theirs = await start();
    const lines: string[] = [];
    const ours = await start({
      print: (line) => lines.push(line),
      system: realSystem(
        stackEnvironment({
          TEMPORAL_ADDRESS: theirs.temporalAddress,
          DATABASE_URL: theirs.databaseUrl,
          REDIS_URL: theirs.redisUrl,
        }),
      ),
    });
    expect([ours.temporalAddress, ours.databaseUrl, ours.redisUrl]).toEqual([
      theirs.temporalAddress,
      theirs.databaseUrl,
      theirs.redisUrl,
    ]);
    const password = new URL(theirs.databaseUrl).password;
    expect(lines).toHaveLength(3);
    expect(lines.join('\n')).not.toContain(password);
    await ours.stop();
    for (const port of portsOf(theirs)) await expect(canConnect('127.0.0.1', port)).resolves.toBe(true);
  });

  it('names each variable whose server does not answer, without its password', async () => {
    const port = await findFreePort();
    const failure = await start({
      system: realSystem(
        stackEnvironment({
          TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
          DATABASE_URL: `postgres://user:s3cret-word@127.0.0.1:${port}/stock`,
          REDIS_URL: `redis://:s3cret-word@127.0.0.1:${port}`,
        }),
      ),
    }).then(String, String);
    expect(failure).toContain(`TEMPORAL_ADDRESS names 127.0.0.1:${port}, where nothing answers`);
    expect(failure).toContain(`DATABASE_URL names 127.0.0.1:${port}/stock`);
    expect(failure).toContain(`REDIS_URL names 127.0.0.1:${port}, where nothing answers`);
    expect(failure).not.toContain('s3cret-word');
  });

  it('tells all that is missing at once, and stops what had started', async () => {
    const real = realSystem(stackEnvironment({ TEMPORAL_CLI_PATH: '', XDG_CACHE_HOME: directory }));
    const kept = ['id', 'setpriv', 'groupadd', 'useradd'];
    let postgresPort = 0;
    const failure = await start({
      print: (line) => {
        postgresPort ||= Number(/^PostgreSQL: ready on 127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? 0);
      },
      system: {
        ...real,
        isDebian: false,
        findProgram: (name) => (kept.includes(name) ? real.findProgram(name) : undefined),
        isExecutable: (path) => !path.endsWith('/go') && real.isExecutable(path),
        fetch: () => Promise.reject(new Error('no network')),
      },
    }).then(String, String);
    expect(failure).toContain('The Temporal CLI is missing');
    expect(failure).toContain('Redis is missing');
    expect(postgresPort).toBeGreaterThan(0);
    await expect(isPortFree(postgresPort)).resolves.toBe(true);
  });
});
