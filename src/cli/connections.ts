import { Client, Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import type { Config } from '../config.js';
import { openDatabase, type Db } from '../storage/database.js';
import { pendingMigrations } from '../storage/migrate.js';
import { CommandFailed, messageOf } from './failures.js';
import type { TemporalService } from './services.js';

/** Connecting to the servers, with messages that name the address and no secret. */

/** Long enough for a slow network, short enough for a person who waits. */
const CONNECT_TIMEOUT_MS = 5_000;

/** host:port/database of a connection URL, without user and password. */
export function placeOf(url: string): string {
  if (!URL.canParse(url)) return 'the configured address';
  const { hostname, host, pathname, searchParams } = new URL(url);
  const path = pathname === '/' ? '' : pathname;
  return hostname === '' ? `${searchParams.get('host') ?? 'the configured address'}${path}` : `${host}${path}`;
}

export async function connectDatabase(url: string): Promise<Db> {
  const db = openDatabase(url, { applicationName: 'allegro-stock-sync client', maxConnections: 4 });
  let pending: string[];
  try {
    await sql`select 1`.execute(db);
    pending = await pendingMigrations(db);
  } catch (error) {
    await db.destroy();
    throw new CommandFailed(`PostgreSQL at ${placeOf(url)} cannot be used: ${messageOf(error)}`);
  }
  if (pending.length === 0) return db;
  await db.destroy();
  throw new CommandFailed(
    `the database at ${placeOf(url)} is not migrated (missing: ${pending.join(', ')}). Run: npm run migrate`,
  );
}

export async function connectTemporal(config: Config['temporal']): Promise<TemporalService> {
  const { address, namespace, connectionOptions } = config;
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: CONNECT_TIMEOUT_MS });
    return { client: new Client({ connection, namespace }), connection, address, namespace };
  } catch (error) {
    throw new CommandFailed(`Temporal at ${address} cannot be reached: ${messageOf(error)}`);
  }
}

export async function connectRedis(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    connectionName: 'allegro-stock-sync-client',
    retryStrategy: () => null,
  });
  // Without a listener ioredis prints every fault itself; the reason is kept for the message.
  let reason = 'no answer';
  redis.on('error', (error: unknown) => {
    reason = messageOf(error);
  });
  try {
    await redis.connect();
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    const said = messageOf(error);
    const told = said === '' || said === 'Connection is closed.' ? reason : said;
    throw new CommandFailed(`Redis at ${placeOf(url)} cannot be reached: ${told}`);
  }
}
