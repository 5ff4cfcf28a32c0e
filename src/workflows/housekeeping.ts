import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import { BOOKKEEPING } from './retry-policies.js';
import { untilAnswered } from './until-answered.js';

/** Longest that a daily run waits for the database. */
const PATIENCE_MS = 3_600_000;

/** Once a day: deletes history that is older than the retention. Returns what was deleted. */
export async function housekeeping(): Promise<{ runs: number; incidents: number; messages: number }> {
  const { housekeep } = proxyActivities<Activities>(BOOKKEEPING);
  const deleted = await untilAnswered({ deadline: Date.now() + PATIENCE_MS }, () =>
    housekeep.executeWithOptions({ summary: 'delete old history' }, [{ reason: 'daily' }]),
  );
  setCurrentDetails(`deleted: ${deleted.runs} runs, ${deleted.incidents} incidents, ${deleted.messages} messages`);
  return deleted;
}
