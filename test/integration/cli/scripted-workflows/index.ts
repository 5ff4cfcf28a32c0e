import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  condition,
  defineSignal,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { toAccountId, type AccountId } from '../../../../src/domain/ids.js';
import {
  accountProgressQuery,
  syncAccountId,
  type AccountResult,
  type SyncAccountInput,
  type SyncAllAccountsInput,
  type SyncAllAccountsResult,
} from '../../../../src/workflows/api.js';

/**
 * Workflows with the names, ids and answers of the real ones, which do what the account's name says: the command line
 * is tested against them without a marketplace.
 */

export const finishSignal = defineSignal('finish');

const NO_BUCKETS = {
  skipped: 0,
  in_sync: 0,
  held: 0,
  would_end: 0,
  would_lower: 0,
  would_reactivate: 0,
  would_raise: 0,
  ended: 0,
  lowered: 0,
  reactivated: 0,
  raised: 0,
  failed: 0,
  pending: 0,
};

/** `slow…` waits for the signal `finish`, `failing…` has a failed offer, `broken…` breaks down, the others are in sync. */
export async function syncAccount(input: SyncAccountInput): Promise<AccountResult> {
  let isFinished = false;
  setHandler(finishSignal, () => {
    isFinished = true;
  });
  setHandler(accountProgressQuery, () => ({
    accountId: input.accountId,
    runId: workflowInfo().runId,
    phase: 'scanning',
    seen: 1000,
    total: 2000,
    differing: 3,
    settled: 1,
    waitingUntil: null,
  }));
  const { accountId } = input;
  if (accountId.startsWith('slow')) await condition(() => isFinished);
  if (accountId.startsWith('broken'))
    throw ApplicationFailure.create({ type: 'TokenRevoked', message: 'log in again', nonRetryable: true });
  const isFailing = accountId.startsWith('failing');
  return {
    accountId,
    accountName: `Name of ${accountId}`,
    runId: workflowInfo().runId,
    outcome: isFailing ? 'problems' : 'in_sync',
    mode: input.preview === true ? 'preview' : 'live',
    isComplete: true,
    seen: 10,
    buckets: { ...NO_BUCKETS, in_sync: isFailing ? 9 : 10, failed: isFailing ? 1 : 0 },
    skipped: {},
    failed: isFailing ? { OfferRejected: 1 } : {},
    held: {},
    requests: input.skus?.length ?? 0,
    batches: 0,
    failure: null,
  };
}

/** Syncs the accounts `shop` and `slow`; waits for `shop` only. */
export async function syncAllAccounts(input: SyncAllAccountsInput): Promise<SyncAllAccountsResult> {
  const accounts = await Promise.all([
    childResult(toAccountId('shop'), input),
    childResult(toAccountId('slow'), input),
  ]);
  return { runId: workflowInfo().runId, outcome: 'in_sync', accounts };
}

async function childResult(accountId: AccountId, input: SyncAllAccountsInput): Promise<AccountResult> {
  try {
    const child = await startChild(syncAccount, {
      workflowId: syncAccountId(accountId),
      args: [{ accountId, trigger: input.trigger, groupId: workflowInfo().runId }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return accountId === 'slow' ? unfinished(accountId, 'running') : await child.result();
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return unfinished(accountId, 'already_running');
    throw error;
  }
}

function unfinished(accountId: string, outcome: 'running' | 'already_running'): AccountResult {
  return {
    accountId,
    accountName: accountId,
    runId: null,
    outcome,
    mode: 'live',
    isComplete: false,
    seen: 0,
    buckets: NO_BUCKETS,
    skipped: {},
    failed: {},
    held: {},
    requests: 0,
    batches: 0,
    failure: null,
  };
}
