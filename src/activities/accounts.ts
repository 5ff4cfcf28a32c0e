import type { AccountId } from '../domain/ids.js';
import { countBusyTick, listActiveAccounts, listAccountNames } from '../storage/account-ticks.js';
import { openIncident } from '../storage/incidents.js';
import { enqueueMessage } from '../storage/outbox.js';
import type { ActivityServices } from './services.js';

export interface LoadAccountsInput {
  /** Only these; null: all that are not paused. */
  readonly accountIds: readonly AccountId[] | null;
}

export interface LoadedAccount {
  readonly accountId: AccountId;
  readonly name: string;
  readonly mode: 'preview' | 'live';
}

/** The accounts that a run of all accounts starts, in the order of their ids. */
export function createLoadAccounts({ db }: ActivityServices) {
  return async function loadAccounts(
    input: LoadAccountsInput,
  ): Promise<{ readonly accounts: readonly LoadedAccount[] }> {
    return {
      accounts: input.accountIds === null ? await listActiveAccounts(db) : await listAccountNames(db, input.accountIds),
    };
  };
}

export interface RecordTickInput {
  readonly accountId: AccountId;
  /** true: the account was still at work when the tick came. */
  readonly isBusy: boolean;
}

/** Ticks in a row at which an account may still be at work before a person is told. */
const BUSY_TICKS_TOLD = 2;

/** Counts the ticks at which an account was still at work; the second in a row is an incident. */
export function createRecordTick({ db }: ActivityServices) {
  return async function recordTick(input: RecordTickInput): Promise<void> {
    const tick = await countBusyTick(db, input.accountId, input.isBusy);
    if (tick === null || tick.busyTicks < BUSY_TICKS_TOLD) return;
    const title = 'The account is still at work at two scheduled runs in a row';
    await db.transaction().execute(async (trx) => {
      const incident = await openIncident(trx, {
        accountId: input.accountId,
        class: 'StillRunning',
        title,
        details: {},
      });
      if (!incident.isNew) return;
      await enqueueMessage(trx, {
        dedupeKey: `incident/${incident.id}/opened`,
        message: {
          kind: 'account_problem',
          accountId: input.accountId,
          accountName: tick.accountName,
          class: 'StillRunning',
          title,
          details: `A run of this account takes longer than the interval between runs (${tick.busyTicks} runs in a row).`,
          action: 'Look at the run in the Temporal Web UI: what it waits for is in its summary.',
          since: new Date().toISOString(),
        },
      });
    });
  };
}

/** Sends every message that is due. Messages that cannot be sent wait in PostgreSQL. */
export function createNotify({ deliverMessages }: ActivityServices) {
  return async function notify(_input: {
    readonly reason: string;
  }): Promise<{ readonly sent: number; readonly failed: number }> {
    return deliverMessages();
  };
}
