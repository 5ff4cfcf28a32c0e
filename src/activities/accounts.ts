import type { AccountId } from '../domain/ids.js';
import { tellProblem } from '../notifications/tell.js';
import { countBusyTicks, listActiveAccounts, listAccountNames, resetBusyTicks } from '../storage/account-ticks.js';
import type { Db } from '../storage/database.js';
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
  /** Names the tick, however often this is called for it. */
  readonly tick: string;
  /** Accounts that were still at work when the tick came. */
  readonly busy: readonly AccountId[];
  readonly idle: readonly AccountId[];
}

/** Ticks in a row at which an account may still be at work before a person is told. */
const BUSY_TICKS_TOLD = 2;

/** Counts the ticks at which an account was still at work; the second in a row is an incident. */
export function createRecordTick({ db }: ActivityServices) {
  return async function recordTick({ tick, busy, idle }: RecordTickInput): Promise<void> {
    await db.transaction().execute(async (trx) => {
      await resetBusyTicks(trx, idle);
      for (const account of await countBusyTicks(trx, busy, tick)) {
        if (account.busyTicks >= BUSY_TICKS_TOLD) await tellStillRunning(trx, account);
      }
    });
  };
}

async function tellStillRunning(
  trx: Db,
  { accountId, name, busyTicks }: { accountId: AccountId; name: string; busyTicks: number },
): Promise<void> {
  await tellProblem(trx, {
    account: { accountId, accountName: name },
    class: 'StillRunning',
    title: 'The account is still at work at two scheduled runs in a row',
    details: `A run of this account takes longer than the interval between runs (${busyTicks} runs in a row).`,
    action: 'Look at the run in the Temporal Web UI: what it waits for is in its summary.',
  });
}

/** Sends every message that is due. Messages that cannot be sent wait in PostgreSQL. */
export function createNotify({ deliverMessages }: ActivityServices) {
  return async function notify(_input: {
    readonly reason: string;
  }): Promise<{ readonly sent: number; readonly failed: number }> {
    return deliverMessages();
  };
}
