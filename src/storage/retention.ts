import { sql } from 'kysely';
import type { Db } from './database.js';
import { deleteSentBefore } from './outbox.js';

export interface Deleted {
  readonly runs: number;
  readonly incidents: number;
  readonly messages: number;
}

/** A run takes its changes with it, thousands of rows; a statement may take a minute. */
const RUNS_PER_STATEMENT = 100;

/**
 * Deletes what is older than the retention: closed runs with their changes and commands, resolved incidents, sent
 * messages. What is open stays, however old: a change whose outcome nobody knows still has to be read.
 */
export async function deleteOldHistory(db: Db, retentionDays: number): Promise<Deleted> {
  const before = new Date(Date.now() - retentionDays * 86_400_000);
  let runs = 0;
  for (let deleted = RUNS_PER_STATEMENT; deleted === RUNS_PER_STATEMENT; runs += deleted) {
    deleted = await deleteRunsBefore(db, before);
  }
  const incidents = await db
    .deleteFrom('incidents')
    .where('state', '=', 'resolved')
    .where('resolvedAt', '<', before)
    .executeTakeFirst();
  return {
    runs,
    incidents: Number(incidents.numDeletedRows),
    messages: await deleteSentBefore(db, before),
  };
}

async function deleteRunsBefore(db: Db, before: Date): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('syncRuns')
    .where('id', 'in', (old) =>
      old
        .selectFrom('syncRuns')
        .select('id')
        .where('state', '=', 'closed')
        .where('finishedAt', '<', before)
        .where(
          sql<boolean>`not exists (
            select 1 from offer_changes c where c.run_id = sync_runs.id and c.state in ('sending', 'unknown'))`,
        )
        .limit(RUNS_PER_STATEMENT),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}
