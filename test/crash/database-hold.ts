import pg from 'pg';
import { waitUntil } from '../../src/local/wait-until.js';

/** A statement of the application at which PostgreSQL stands still. */
export interface DatabasePoint {
  readonly table: string;
  readonly event: 'insert' | 'update';
  /** Over `new` and, for an update, `old`. */
  readonly when?: string;
  /** `row`: in the statement. `commit`: in the commit of its transaction. */
  readonly at: 'row' | 'commit';
}

/**
 * What becomes of the statement of a process that is gone: `lost`, as if it had never arrived, or `applied`, since it was
 * on its way already.
 */
export type Fate = 'lost' | 'applied';

export interface DatabaseHold {
  /** Whether a statement stands there now. */
  isReached(): Promise<boolean>;
  end(fate: Fate): Promise<void>;
  close(): Promise<void>;
}

const KEY = 4711;
const PATIENCE_MS = 10_000;
const WAITING = `
  select pid from pg_locks
  where locktype = 'advisory' and objid = ${KEY} and not granted
    and database = (select oid from pg_database where datname = current_database())`;

/** Lets statements like this wait for a lock that we hold, by a trigger that is there until the end. */
export async function holdStatement(databaseUrl: string, point: DatabasePoint): Promise<DatabaseHold> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { table, event, when = 'true', at } = point;
  await client.query(`select pg_advisory_lock(${KEY})`);
  await client.query(`
    create or replace function crash_hold() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(${KEY}); return new; end $$`);
  await client.query(
    at === 'row'
      ? `create trigger crash_hold before ${event} on ${table} for each row when (${when}) execute function crash_hold()`
      : `create constraint trigger crash_hold after ${event} on ${table} deferrable initially deferred
           for each row when (${when}) execute function crash_hold()`,
  );
  const waiting = async (): Promise<number[]> =>
    (await client.query<{ pid: number }>(WAITING)).rows.map(({ pid }) => pid);
  return {
    isReached: async () => (await waiting()).length > 0,
    async end(fate) {
      if (fate === 'lost') {
        for (const pid of await waiting()) await client.query('select pg_terminate_backend($1)', [pid]);
      } else {
        await client.query(`select pg_advisory_unlock(${KEY})`);
      }
      if (!(await waitUntil(async () => (await waiting()).length === 0, PATIENCE_MS))) {
        throw new Error('the held statements did not end');
      }
      await client.query(`drop trigger crash_hold on ${table}`);
      await client.query(`select pg_advisory_unlock_all()`);
    },
    close: () => client.end(),
  };
}
