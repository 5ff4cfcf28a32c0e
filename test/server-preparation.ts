import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';

import { migrateToLatest } from '../src/storage/migrate.js';

/** The server of an address, with another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}

/** Runs one statement that names databases, which cannot be parameters. */
export async function runOnServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A name that no other run and no other test file uses. */
export function freshDatabaseName(kind: 'template' | 'test'): string {
  return `stock_sync_${kind}_${randomBytes(6).toString('hex')}`;
}

/** A migrated database that each test file copies, which is quicker than migrating once per file. */
export async function createTemplateDatabase(url: string): Promise<{ name: string; drop(): Promise<void> }> {
  const name = freshDatabaseName('template');
  await runOnServer(url, `create database ${name}`);
  await migrateToLatest(withDatabase(url, name));
  return { name, drop: () => runOnServer(url, `drop database if exists ${name} with (force)`) };
}

/** The Redis databases of the jest workers, 1 to n, are emptied by tests: a REDIS_URL of something real is refused. */
export async function assertRedisIsUnused(url: string, workers: number): Promise<void> {
  for (let database = 1; database <= workers; database += 1) {
    const redis = new Redis(withDatabase(url, String(database)), { maxRetriesPerRequest: 1 });
    redis.on('error', () => undefined);
    try {
      const keys = await redis.dbsize();
      if (keys > 0) {
        throw new Error(
          `Tests empty the Redis databases 1 to ${workers}, but database ${database} of REDIS_URL holds ${keys} keys. Unset REDIS_URL, or name a Redis for tests.`,
        );
      }
    } finally {
      redis.disconnect();
    }
  }
}
