import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import { noCounts } from '../domain/buckets.js';
import type { AccountId } from '../domain/ids.js';
import {
  ACCOUNT_ID_KEY,
  SYNC_ACCOUNT,
  SYNC_ALL_ACCOUNTS,
  SYNC_ALL_ACCOUNTS_ID,
  SYNC_OUTCOME_KEY,
  SYNC_TRIGGER_KEY,
  syncAccountId,
  TASK_QUEUE,
  type AccountResult,
  type SyncAccountInput,
  type SyncAllAccountsInput,
  type SyncAllAccountsResult,
} from '../workflows/api.js';
import { CommandFailed, messageOf } from './failures.js';

/** Starting the workflows by hand, and waiting for them and for runs that are in their way. */

export type SyncAllAccounts = (input: SyncAllAccountsInput) => Promise<SyncAllAccountsResult>;
export type SyncAccount = (input: SyncAccountInput) => Promise<AccountResult>;

export interface SyncChoice {
  readonly skus: readonly string[];
  readonly preview: boolean;
}

export interface ChosenAccount {
  readonly accountId: AccountId;
  readonly name: string;
  readonly mode: 'preview' | 'live';
}

/** Of one execution, as under the run over all accounts: longer than its own deadline, 6 h from the start. */
const ACCOUNT_RUN_TIMEOUT = '8 hours';
/** A run by hand waits for its accounts as long as they may take. */
const ALL_ACCOUNTS_RUN_TIMEOUT = '8 hours';

function choiceFields({ skus, preview }: SyncChoice): { skus?: readonly string[]; preview?: boolean } {
  return { ...(skus.length === 0 ? {} : { skus }), ...(preview ? { preview } : {}) };
}

/** @throws WorkflowExecutionAlreadyStartedError */
export async function startAllAccounts(
  client: Client,
  choice: SyncChoice,
  intervalSeconds: number,
): Promise<WorkflowHandle<SyncAllAccounts>> {
  return client.workflow.start<SyncAllAccounts>(SYNC_ALL_ACCOUNTS, {
    workflowId: SYNC_ALL_ACCOUNTS_ID,
    taskQueue: TASK_QUEUE,
    args: [{ trigger: 'manual', intervalSeconds, ...choiceFields(choice) }],
    workflowRunTimeout: ALL_ACCOUNTS_RUN_TIMEOUT,
    staticSummary: choice.preview ? 'Preview of all active accounts, by hand' : 'Sync of all active accounts, by hand',
    typedSearchAttributes: [
      { key: SYNC_TRIGGER_KEY, value: 'manual' },
      { key: SYNC_OUTCOME_KEY, value: 'running' },
    ],
  });
}

/** @throws WorkflowExecutionAlreadyStartedError */
export async function startAccount(
  client: Client,
  account: ChosenAccount,
  choice: SyncChoice,
  groupId: string,
): Promise<WorkflowHandle<SyncAccount>> {
  const { accountId, name } = account;
  return client.workflow.start<SyncAccount>(SYNC_ACCOUNT, {
    workflowId: syncAccountId(accountId),
    taskQueue: TASK_QUEUE,
    args: [{ accountId, trigger: 'manual', groupId, ...choiceFields(choice) }],
    workflowRunTimeout: ACCOUNT_RUN_TIMEOUT,
    staticSummary: `${choice.preview ? 'Preview' : 'Sync'} of ${name}, by hand`,
    typedSearchAttributes: [
      { key: ACCOUNT_ID_KEY, value: accountId },
      { key: SYNC_TRIGGER_KEY, value: 'manual' },
      { key: SYNC_OUTCOME_KEY, value: 'running' },
    ],
  });
}

/** Starts a workflow; while one of its id is at work, says so and waits for its end first. */
export async function startWhenFree<Handle>(
  client: Client,
  workflowId: string,
  start: () => Promise<Handle>,
  onBusy: () => void,
): Promise<Handle> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    onBusy();
    await waitForEnd(client, workflowId);
  }
}

/** Waits until no execution of this workflow is at work, however the last one ended. */
export async function waitForEnd(client: Client, workflowId: string): Promise<void> {
  await client.workflow
    .getHandle(workflowId)
    .result()
    .catch((error: unknown) => {
      if (!(error instanceof WorkflowFailedError)) throw error;
    });
}

/** What one account came to; a run that broke down altogether is a result too. */
export async function accountResult(
  handle: WorkflowHandle<SyncAccount>,
  account: ChosenAccount,
): Promise<AccountResult> {
  try {
    return await handle.result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const cause = error.cause ?? error;
    return {
      accountId: account.accountId,
      accountName: account.name,
      runId: null,
      outcome: 'failed',
      mode: account.mode,
      isComplete: false,
      seen: 0,
      buckets: noCounts(),
      skipped: {},
      failed: {},
      held: {},
      requests: 0,
      batches: 0,
      failure: { class: cause.name, message: messageOf(cause) },
    };
  }
}

/** @throws CommandFailed when the workflow over all accounts itself broke down */
export async function allAccountsResult(handle: WorkflowHandle<SyncAllAccounts>): Promise<SyncAllAccountsResult> {
  try {
    return await handle.result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new CommandFailed(
      `the run over all accounts failed: ${messageOf(error.cause ?? error)}. Runs of single accounts go on; see: allegro-stock-sync status`,
    );
  }
}
