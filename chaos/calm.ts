import pg from 'pg';

import type { ConnectedAccount } from '../src/local/application.js';
import type { Print } from '../src/local/system.js';
import { waitUntil } from '../src/local/wait-until.js';

const QUIET_RUNS = 2;
const RUNS_WITHIN_MS = 180_000;
const LOOK_EVERY_MS = 500;

/**
 * Waits until each account has had so many complete runs that began after the given time.
 * @returns what has not come about
 */
export async function awaitQuietRuns(options: {
  readonly database: pg.Pool;
  readonly accounts: readonly ConnectedAccount[];
  readonly print: Print;
}): Promise<string[]> {
  const { database, accounts, print } = options;
  const { rows } = await database.query<{ now: Date }>('select clock_timestamp() as now');
  const since = rows[0]?.now;
  const countRuns = async (): Promise<Map<string, number>> => {
    const counted = await database.query<{ accountId: string; count: number }>(
      `select account_id as "accountId", count(*)::integer as count from sync_runs
        where started_at > $1 and finished_at is not null and is_complete and mode = 'live' and outcome <> 'superseded'
        group by account_id`,
      [since],
    );
    return new Map(counted.rows.map(({ accountId, count }) => [accountId, count]));
  };
  const missing = async (): Promise<string[]> => {
    const counts = await countRuns();
    return accounts
      .map(({ accountId }) => ({ accountId, count: counts.get(accountId) ?? 0 }))
      .filter(({ count }) => count < QUIET_RUNS)
      .map(({ accountId, count }) => `${accountId} has had ${count} of ${QUIET_RUNS} quiet runs`);
  };
  const isQuiet = await waitUntil(async () => (await missing()).length === 0, RUNS_WITHIN_MS, LOOK_EVERY_MS);
  if (isQuiet) print('each account has had two quiet runs');
  return isQuiet ? [] : missing();
}

/** Longer than a command of which nobody knows whether it has arrived is waited for. */
const SETTLED_WITHIN_MS = 7 * 60_000;

/**
 * Waits until the end of every command is known: until then the raises that it carries are waited with.
 * @returns what has not come about
 */
export async function awaitCommands(database: pg.Pool, print: Print): Promise<string[]> {
  const readOpen = async (): Promise<string[]> => {
    const { rows } = await database.query<{ id: string; state: string }>(
      `select id, state from commands where state in ('sent', 'accepted')`,
    );
    return rows.map(({ id, state }) => `command ${id} is still ${state}`);
  };
  const open = await readOpen();
  if (open.length === 0) return [];
  print(`waiting for ${open.length} commands of which the end is not known`);
  await waitUntil(async () => (await readOpen()).length === 0, SETTLED_WITHIN_MS, LOOK_EVERY_MS);
  return readOpen();
}

const SENT_WITHIN_MS = 60_000;

/** Waits until no message waits to be sent. */
export async function awaitMessages(database: pg.Pool): Promise<void> {
  await waitUntil(
    async () => {
      const { rows } = await database.query('select 1 from outbox where sent_at is null limit 1');
      return rows.length === 0;
    },
    SENT_WITHIN_MS,
    LOOK_EVERY_MS,
  );
}
