import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

import type { Application } from '../src/local/application.js';
import type { Warehouse } from './warehouse.js';

/** Somebody who reads the alerts, and lets held changes through where the stock is right. */
export interface Person {
  readonly approvals: number;
  stop(): Promise<void>;
}

export interface PersonOptions {
  readonly application: Pick<Application, 'runClient'>;
  /** Over a network that stays well. */
  readonly database: pg.Pool;
  readonly warehouse: Pick<Warehouse, 'rightSince'>;
}

const LOOKS_EVERY_MS = 3_000;

export function startPerson({ application, database, warehouse }: PersonOptions): Person {
  const stopping = new AbortController();
  const approved = new Set<string>();

  async function look(): Promise<void> {
    const since = warehouse.rightSince();
    // What a wrong feed asks for is not let through.
    if (since === null) return;
    for (const { accountId, runId } of await readHeldRuns(database, since)) {
      if (approved.has(runId)) continue;
      const { status } = await application.runClient(['accounts', 'approve', accountId, '--run', runId]);
      if (status === 0) approved.add(runId);
    }
  }

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      // A database or network that is away is asked again.
      await look().catch(() => undefined);
      await sleep(LOOKS_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  const living = live();
  return {
    get approvals() {
      return approved.size;
    },
    async stop() {
      stopping.abort();
      await living;
    },
  };
}

/** The last run of each account, where it held something back and saw the stock as it is. */
async function readHeldRuns(database: pg.Pool, since: Date): Promise<{ accountId: string; runId: string }[]> {
  const { rows } = await database.query<{ accountId: string; runId: string; startedAt: Date; held: number }>(
    `select distinct on (account_id) account_id as "accountId", id as "runId", started_at as "startedAt",
      coalesce((held ->> 'guard')::integer, 0) as held
      from sync_runs where mode = 'live' and finished_at is not null and outcome <> 'superseded'
      order by account_id, started_at desc`,
  );
  return rows.filter(({ startedAt, held }) => held > 0 && startedAt > since);
}
