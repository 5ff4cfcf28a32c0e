import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';

import type { SimulatorAdmin } from '../simulator/admin-client.js';
import type { ConnectedAccount } from '../src/local/application.js';
import { waitUntil } from '../src/local/wait-until.js';
import { triggerSchedule } from '../src/schedule.js';
import { syncAccountId } from '../src/workflows/api.js';

/** After this long without a sign of life although everything is well, work does not go on by itself. */
export const RECOVERY_BOUND_MS = 15_000;

const LOOK_EVERY_MS = 200;

export interface Recovery {
  /** From the return of the last part to the first sign of life of the last account that had work. */
  readonly ms: number;
  /** Accounts with a run at work that gave no sign within the bound, and what they were at. */
  readonly stuck: readonly string[];
}

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
}

/** Says how soon every account whose run was at work goes on: by a request to the marketplace, or by its end. */
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
  async function askForRun({ accountId }: ConnectedAccount): Promise<string | null | undefined> {
    try {
      const { status, runId } = await client.workflow.getHandle(syncAccountId(accountId)).describe();
      return status.name === 'RUNNING' ? runId : null;
    } catch (error) {
      return error instanceof WorkflowNotFoundError ? null : undefined;
    }
  }

  async function findRun(account: ConnectedAccount): Promise<string | null> {
    let found: string | null | undefined;
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
        options.accounts.map(async (account) => ({ account, runId: await findRun(account) })),
      );
      // Work is there for the others too.
      await trigger();
      let waiting = atWork.filter(({ runId }) => runId !== null);
      const goesOn = async ({ account, runId }: (typeof atWork)[number]): Promise<boolean> => {
        if ((latestBySeller.get(account.sellerId) ?? 0) > since) return true;
        const now = await askForRun(account);
        return now !== undefined && now !== runId;
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
