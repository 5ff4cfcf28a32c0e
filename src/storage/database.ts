import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Database } from './schema.js';

export type Db = Kysely<Database>;

export interface DatabaseOptions {
  /** Most connections of this process. */
  readonly maxConnections?: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
}

/** As long as a worker may be silent before another one has its activities. */
const IDLE_IN_TRANSACTION_MS = 10_000;

/**
 * Where the network is gone without a word, a statement that has arrived and waits for its answer fails 15 s later: after
 * 5 s the other end is asked ten times, a second apart (Node's own count), instead of after the two hours of the operating
 * system. One that is sent into the silence fails when the system gives up sending it (`net.ipv4.tcp_retries2`).
 */
export const NOTICES_SILENCE = { keepAlive: true, keepAliveInitialDelayMillis: 5_000 } as const;

/** Connects lazily: the first query opens the first connection. End with `destroy()`. */
export function openDatabase(databaseUrl: string, options: DatabaseOptions): Db {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: options.maxConnections ?? 10,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    // A statement that runs this long is a fault, not work; imports stream in chunks.
    statement_timeout: 60_000,
    // A process that is stopped in the middle of a transaction must not keep its rows from those that go on.
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    ...NOTICES_SILENCE,
  });
  // A connection lost while idle is replaced by the pool; one that is lost between two statements of a transaction fails
  // the next of them. Without a listener either would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  });
}

/** Runs the work in the transaction that is open already, or in one of its own. */
export function inTransaction<Result>(db: Db, work: (trx: Db) => Promise<Result>): Promise<Result> {
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}
