import { Client, Connection, WorkflowNotFoundError, type WorkflowExecutionDescription } from '@temporalio/client';

import type { SimulatorAdmin } from '../simulator/admin-client.js';
import type { ConnectedAccount } from '../src/local/application.js';
import { waitUntil } from '../src/local/wait-until.js';
import { triggerSchedule } from '../src/schedule.js';
import { syncAccountId } from '../src/workflows/api.js';

/** After this long without a sign of life although everything is well, work does not go on by itself. */
export const RECOVERY_BOUND_MS = 15_000;

const LOOK_EVERY_MS = 200;

export interface Recovery {
  /** From the return of the last part until the last account that had work went on. */
  readonly ms: number;
  /** Accounts with a run at work that did not go on within the bound, and what they were at. */
  readonly stuck: readonly string[];
}

interface RunAtWork {
  readonly runId: string;
  readonly isHeldByTheDead: boolean;
  /** It has done its work and tells of it, which takes as long as Telegram is away. */
  readonly isTelling: boolean;
}

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/** `PENDING_ACTIVITY_STATE_STARTED` of the Temporal API. */
const STARTED = 2;

export interface RecoveryWatch {
  /** To be called when everything has just become well. */
  measure(): Promise<Recovery>;
  close(): Promise<void>;
}

export interface RecoveryWatchOptions {
  readonly admin: SimulatorAdmin;
  readonly accounts: readonly ConnectedAccount[];
  /** Over a network that stays well. */
  readonly temporalAddress: string;
  readonly namespace: string;
  /** Process ids of the workers that were killed. */
  readonly killed: ReadonlySet<number>;
}

/**
 * Says how soon every account whose run was at work goes on: it shows a sign of life, by a request to the marketplace,
 * by coming to tell what it has done, or by its end, and nothing of it is left in the hands of a worker that was killed.
 */
export function watchRecovery(options: RecoveryWatchOptions): RecoveryWatch {
  const connection = Connection.lazy({ address: options.temporalAddress });
  const client = new Client({ connection, namespace: options.namespace });
  let lastRequest = 0;
  const latestBySeller = new Map<string, number>();

  async function readJournal(): Promise<void> {
    const { entries } = await options.admin.journal({ since: lastRequest, limit: 10_000 });
    for (const { n, at, sellerId } of entries) {
      lastRequest = n;
      if (sellerId !== null) latestBySeller.set(sellerId, at);
    }
  }

  /** The execution at work; null: none; undefined: the server does not say. */
  async function askForRun({ accountId }: ConnectedAccount): Promise<RunAtWork | null | undefined> {
    try {
      const { status, runId, raw } = await client.workflow.getHandle(syncAccountId(accountId)).describe();
      if (status.name !== 'RUNNING') return null;
      const pending = raw.pendingActivities ?? [];
      const isTelling = pending.some(({ activityType }) => activityType?.name === 'notify');
      return { runId, isHeldByTheDead: pending.some(isHeldByTheDead), isTelling };
    } catch (error) {
      return error instanceof WorkflowNotFoundError ? null : undefined;
    }
  }

  /** An identity begins with the process id. */
  function isHeldByTheDead({ state, lastWorkerIdentity }: PendingActivity): boolean {
    const pid = Number.parseInt(lastWorkerIdentity ?? '', 10);
    return Number(state) === STARTED && options.killed.has(pid);
  }

  async function findRun(account: ConnectedAccount): Promise<RunAtWork | null> {
    let found: RunAtWork | null | undefined;
    await waitUntil(
      async () => {
        found = await askForRun(account);
        return found !== undefined;
      },
      RECOVERY_BOUND_MS,
      LOOK_EVERY_MS,
    );
    return found ?? null;
  }

  async function trigger(): Promise<void> {
    await waitUntil(
      () =>
        triggerSchedule(client).then(
          () => true,
          () => false,
        ),
      RECOVERY_BOUND_MS,
      LOOK_EVERY_MS,
    );
  }

  return {
    async measure() {
      const since = Date.now();
      const atWork = await Promise.all(
        options.accounts.map(async (account) => ({ account, runId: (await findRun(account))?.runId ?? null })),
      );
      // Work is there for the others too.
      await trigger();
      let waiting = atWork.filter(({ runId }) => runId !== null);
      const goesOn = async ({ account, runId }: (typeof atWork)[number]): Promise<boolean> => {
        const now = await askForRun(account);
        if (now === undefined || now?.isHeldByTheDead === true) return false;
        return now?.runId !== runId || now.isTelling || (latestBySeller.get(account.sellerId) ?? 0) > since;
      };
      await waitUntil(
        async () => {
          await readJournal();
          const isGoingOn = await Promise.all(waiting.map(goesOn));
          waiting = waiting.filter((_, index) => isGoingOn[index] !== true);
          return waiting.length === 0;
        },
        since + RECOVERY_BOUND_MS - Date.now(),
        LOOK_EVERY_MS,
      );
      const stuck = await Promise.all(waiting.map(({ account }) => describeStuck(account)));
      return { ms: Date.now() - since, stuck };
    },
    close: () => connection.close(),
  };

  async function describeStuck({ accountId }: ConnectedAccount): Promise<string> {
    try {
      const { raw } = await client.workflow.getHandle(syncAccountId(accountId)).describe();
      const activities = (raw.pendingActivities ?? []).map(
        ({ activityType, attempt }) => `${activityType?.name ?? 'an activity'} (attempt ${attempt ?? 1})`,
      );
      return `${accountId}: at ${activities.length > 0 ? activities.join(', ') : 'no activity'}`;
    } catch (error) {
      return `${accountId}: ${error instanceof Error ? error.message : 'cannot be described'}`;
    }
  }
}
