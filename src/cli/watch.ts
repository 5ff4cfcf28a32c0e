import { setTimeout as sleep } from 'node:timers/promises';
import { hasWorker } from '../pollers.js';
import { accountProgressQuery, syncAccountId, TASK_QUEUE } from '../workflows/api.js';
import type { ProgressView } from './progress.js';
import type { TemporalService } from './services.js';

const POLL_MS = 1_000;
/** A person who waits longer without a word thinks it hangs. */
const NO_WORKER_AFTER_MS = 10_000;
/** A query that no worker answers would otherwise wait for the server's own limit. */
const QUERY_TIMEOUT_MS = 2_000;

export interface Watch {
  /** Begins to show this account's progress. */
  add(accountId: string): void;
  remove(accountId: string): void;
  stop(): Promise<void>;
}

/** Asks the runs how far they are, once a second, until stopped; says so when no worker is there to run them. */
export function watchRuns(temporal: TemporalService, view: ProgressView): Watch {
  const accounts = new Set<string>();
  const since = Date.now();
  const stopped = new AbortController();
  let hasSaidNoWorker = false;
  let hasSeenWorker = false;

  async function showProgress(accountId: string): Promise<void> {
    const handle = temporal.client.workflow.getHandle(syncAccountId(accountId));
    try {
      const progress = await temporal.client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
        handle.query(accountProgressQuery),
      );
      hasSeenWorker = true;
      if (accounts.has(accountId)) view.show(progress);
    } catch {
      // Not started yet, just ended, or no worker: the next round asks again, and the result tells the end.
    }
  }

  async function checkWorker(): Promise<void> {
    if (hasSeenWorker || hasSaidNoWorker || Date.now() - since < NO_WORKER_AFTER_MS) return;
    if (await hasWorker(temporal)) return;
    hasSaidNoWorker = true;
    view.say(
      `No worker polls the task queue "${TASK_QUEUE}" at ${temporal.address}: the run waits until one does. Start one with: npm run worker`,
    );
  }

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      await Promise.all([...accounts].map(showProgress));
      await checkWorker().catch(() => undefined);
      await sleep(POLL_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }

  const done = watch();
  return {
    add: (accountId) => void accounts.add(accountId),
    remove: (accountId) => void accounts.delete(accountId),
    stop: async () => {
      accounts.clear();
      stopped.abort();
      await done;
      view.stop();
    },
  };
}
