import pg from 'pg';
import { NOTICES_SILENCE } from './database.js';
import { withDatabaseErrors } from './database-errors.js';

/** A holder that works longer is taken for hung; who waits gives up and comes back. */
const LOCK_TIMEOUT_MS = 90_000;

/**
 * Runs the work as the only holder of a lock over all processes, on a connection of its own: the lock is gone with the
 * connection, so a killed process blocks nobody.
 * Work that has begun is not interrupted when the connection is lost: what it has learnt must be stored. It must
 * therefore be safe without the lock too (compare-and-set).
 * @throws SyncError DependencyUnavailable when PostgreSQL is away or the lock is not to be had within 90 s
 */
export async function withAdvisoryLock<Result>(
  databaseUrl: string,
  lock: { readonly space: string; readonly name: string },
  work: () => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: `allegro-stock-sync ${lock.space}`,
    connectionTimeoutMillis: 5_000,
    lock_timeout: LOCK_TIMEOUT_MS,
    ...NOTICES_SILENCE,
  });
  // Without a listener a lost connection would end the process.
  client.on('error', () => undefined);
  try {
    await withDatabaseErrors(async () => {
      await client.connect();
      await client.query('select pg_advisory_lock(hashtext($1), hashtext($2))', [lock.space, lock.name]);
    });
    return await work();
  } finally {
    // Ends the session and with it the lock; a connection that is lost already has none.
    await client.end().catch(() => undefined);
  }
}
