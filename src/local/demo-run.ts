import { setTimeout as sleep } from 'node:timers/promises';
import { createServices } from '../client-services.js';
import { createOutput, type Output } from '../cli/output.js';
import { createProgressView } from '../cli/progress.js';
import { showSyncReport } from '../cli/sync-report.js';
import { allAccountsResult } from '../cli/sync-runs.js';
import { watchRuns } from '../cli/watch.js';
import type { TemporalService } from '../cli/services.js';
import { readSchedule } from '../schedule.js';
import type { SyncAllAccountsResult } from '../workflows/api.js';

const LOOK_EVERY_MS = 500;
/** The Schedule starts a triggered run within a second; a machine under load takes longer. */
const START_PATIENCE_MS = 30_000;

/** Follows the runs that the Schedule starts. */
export interface ScheduledRuns {
  /** Waits for the end of the first run, showing how far it is, and shows its report. */
  first(accountIds: readonly string[], output: Output): Promise<SyncAllAccountsResult>;
  /** Calls back at the end of each further run, until the signal is given. */
  follow(signal: AbortSignal, onEnd: (result: SyncAllAccountsResult) => void): Promise<void>;
  close(): Promise<void>;
}

export function demoOutput(): Output {
  return createOutput({ stdout: process.stdout, stderr: process.stderr, isJson: false, env: process.env });
}

export async function watchScheduledRuns(env: Readonly<Record<string, string>>): Promise<ScheduledRuns> {
  const services = createServices(env, ['temporal']);
  const temporal = await services.temporal();
  const known = new Set<string>();
  return {
    async first(accountIds, output) {
      const view = createProgressView(output);
      const watch = watchRuns(temporal, view);
      try {
        const [workflowId] = await waitForRun(temporal);
        known.add(workflowId);
        for (const accountId of accountIds) watch.add(accountId);
        const result = await resultOf(temporal, workflowId);
        await watch.stop();
        showSyncReport(result, output);
        return result;
      } finally {
        await watch.stop();
      }
    },
    async follow(signal, onEnd) {
      while (!signal.aborted) {
        const state = await readSchedule(temporal.client);
        for (const { workflowId } of state?.recentRuns ?? []) {
          if (known.has(workflowId)) continue;
          known.add(workflowId);
          onEnd(await resultOf(temporal, workflowId));
        }
        await sleep(LOOK_EVERY_MS * 4, undefined, { signal }).catch(() => undefined);
      }
    },
    close: () => services.close(),
  };
}

async function waitForRun({ client }: TemporalService): Promise<[string]> {
  const deadline = Date.now() + START_PATIENCE_MS;
  for (;;) {
    const [first] = (await readSchedule(client))?.recentRuns ?? [];
    if (first !== undefined) return [first.workflowId];
    if (Date.now() > deadline) throw new Error('the Schedule has started no run');
    await sleep(LOOK_EVERY_MS);
  }
}

async function resultOf({ client }: TemporalService, workflowId: string): Promise<SyncAllAccountsResult> {
  return allAccountsResult(client.workflow.getHandle(workflowId));
}
