import { sql } from 'kysely';
import type { Db } from './database.js';
import { deleteSentBefore } from './outbox.js';

export interface Deleted {
  readonly runs: number;
  readonly incidents: number;
  readonly messages: number;
}

/**
 * Deletes what is older than the retention: closed runs with their changes and commands, resolved incidents, sent
 * messages. What is open stays, however old: a change whose outcome nobody knows still has to be read.
 */
export async function deleteOldHistory(db: Db, retentionDays: number): Promise<Deleted> {
  const before = new Date(Date.now() - retentionDays * 86_400_000);
  const runs = await db
    .deleteFrom('syncRuns')
    .where('state', '=', 'closed')
    .where('finishedAt', '<', before)
    .where(
      sql<boolean>`not exists (
        select 1 from offer_changes c where c.run_id = sync_runs.id and c.state in ('sending', 'unknown'))`,
    )
    .executeTakeFirst();
  const incidents = await db
    .deleteFrom('incidents')
    .where('state', '=', 'resolved')
    .where('resolvedAt', '<', before)
    .executeTakeFirst();
  return {
    runs: Number(runs.numDeletedRows),
    incidents: Number(incidents.numDeletedRows),
    messages: await deleteSentBefore(db, before),
  };
}
