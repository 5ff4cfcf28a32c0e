import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { LoadedAccount } from '../activities/accounts.js';
import type { Activities } from '../activities/index.js';
import { noCounts } from '../domain/buckets.js';
import {
  ACCOUNT_ID_KEY,
  allAccountsProgressQuery,
  SCHEDULED_START_KEY,
  SYNC_OUTCOME_KEY,
  SYNC_TRIGGER_KEY,
  syncAccountId,
  type AccountResult,
  type SyncAllAccountsInput,
  type SyncAllAccountsResult,
  type SyncOutcome,
} from './api.js';
import { describeAccounts } from './details.js';
import { ACCOUNT_LIST, BOOKKEEPING } from './retry-policies.js';
import { syncAccount } from './sync-account.js';
import { failureOf, untilAnswered } from './until-answered.js';
import { runInWindow } from './window.js';

/** Children that are waited for at the same time; bounds the history and the server's pending children. */
const ACCOUNTS_AT_ONCE = 100;
/** The parent returns at this share of the interval, so that no account can delay the next tick. */
const SHARE_OF_INTERVAL = 0.8;
/** It waits for this share in any case, however late it started. */
const LEAST_SHARE = 0.1;
/** An ad hoc run has no next tick. */
const AD_HOC_PATIENCE_MS = 6 * 3_600_000;
/** Of one execution: longer than the deadline of 6 h, by which a run ends by itself. */
const CHILD_RUN_TIMEOUT = '8 hours';

/** From harmless to grave: the outcome of the whole is the gravest of its accounts. */
const GRAVITY: readonly SyncOutcome[] = [
  'in_sync',
  'running',
  'already_running',
  'superseded',
  'problems',
  'stopped',
  'paused',
  'failed',
];

/**
 * Starts one `syncAccount` per active account and waits for them, at most 80 % of the interval: accounts still at work
 * go on by themselves and count as `running`. Returns one result per account.
 */
export async function syncAllAccounts(input: SyncAllAccountsInput): Promise<SyncAllAccountsResult> {
  const results = new Map<string, AccountResult>();
  let accounts: readonly LoadedAccount[] = [];
  setHandler(allAccountsProgressQuery, () => ({
    accounts: accounts.map(({ accountId }) => ({
      accountId,
      outcome: results.get(accountId)?.outcome ?? 'running',
    })),
  }));
  const { loadAccounts } = proxyActivities<Activities>(ACCOUNT_LIST);
  const { recordTick, notify } = proxyActivities<Activities>(BOOKKEEPING);
  const isScheduled = input.trigger === 'schedule';
  const waitMs = isScheduled ? patienceOfTick(input.intervalSeconds * 1000) : AD_HOC_PATIENCE_MS;
  const patience = { deadline: Date.now() + waitMs };

  ({ accounts } = await untilAnswered(patience, () =>
    loadAccounts.executeWithOptions({ summary: 'accounts to sync' }, [{ accountIds: input.accountIds ?? null }]),
  ));
  let isTimeUp = false;
  // Not cancelled with the run: that would end the wait for the children before they are told to stop.
  const timer = new CancellationScope({
    cancellable: true,
    parent: new CancellationScope({ cancellable: false }),
  });
  const timeUp = timer
    .run(() => sleep(waitMs, { summary: 'latest return' }))
    .then(() => {
      isTimeUp = true;
    });
  // Cancelled as soon as all accounts are done.
  timeUp.catch(() => undefined);
  await runInWindow(accounts, ACCOUNTS_AT_ONCE, syncOne);
  timer.cancel();

  if (isScheduled && accounts.length > 0) await recordBusy();
  const result: SyncAllAccountsResult = {
    runId: workflowInfo().runId,
    outcome: gravest([...results.values()].map((account) => account.outcome)),
    accounts: accounts.flatMap(({ accountId }) => results.get(accountId) ?? []),
    ...(accounts.length === 0 ? { note: 'no active account: nothing to sync' } : {}),
  };
  upsertSearchAttributes([{ key: SYNC_OUTCOME_KEY, value: result.outcome }]);
  setCurrentDetails(describeAccounts(result));
  return result;

  async function syncOne(account: LoadedAccount): Promise<void> {
    const { accountId } = account;
    try {
      const child = await startChild(syncAccount, {
        workflowId: syncAccountId(accountId),
        args: [
          {
            accountId,
            trigger: input.trigger,
            groupId: workflowInfo().runId,
            ...(input.skus === undefined ? {} : { skus: input.skus }),
            ...(input.preview === undefined ? {} : { preview: input.preview }),
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        // A run that is cancelled ends when its accounts have been told so; they close by themselves.
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_REQUESTED,
        workflowRunTimeout: CHILD_RUN_TIMEOUT,
        staticSummary: `${account.name}: ${input.preview === true ? 'preview' : account.mode}`,
        typedSearchAttributes: [
          { key: ACCOUNT_ID_KEY, value: accountId },
          { key: SYNC_TRIGGER_KEY, value: input.trigger },
          { key: SYNC_OUTCOME_KEY, value: 'running' },
        ],
      });
      const result = child.result();
      // The one that loses the race must not count as unhandled.
      result.catch(() => undefined);
      const isDone = isTimeUp ? false : await Promise.race([result.then(() => true), timeUp.then(() => false)]);
      results.set(accountId, isDone ? await result : emptyResult(account, 'running', null));
    } catch (error) {
      if (isCancellation(error)) throw error;
      results.set(accountId, unfinished(account, error));
    }
  }

  async function recordBusy(): Promise<void> {
    const isBusy = ({ accountId }: LoadedAccount): boolean => results.get(accountId)?.outcome === 'already_running';
    const closing = { deadline: Date.now() + waitMs };
    await untilAnswered(closing, () =>
      recordTick.executeWithOptions({ summary: 'accounts still at work' }, [
        {
          tick: workflowInfo().runId,
          busy: accounts.filter(isBusy).map((account) => account.accountId),
          idle: accounts.filter((account) => !isBusy(account)).map((account) => account.accountId),
        },
      ]),
    );
    if (accounts.some(isBusy)) {
      await untilAnswered(closing, () => notify.executeWithOptions({ summary: 'tell' }, [{ reason: 'tick' }]));
    }
  }
}

/** How long a scheduled run waits for its accounts: less when it starts late, since the next tick is on time. */
function patienceOfTick(intervalMs: number): number {
  const scheduledAt = workflowInfo().typedSearchAttributes.get(SCHEDULED_START_KEY)?.getTime() ?? Date.now();
  const lateMs = Math.max(0, Date.now() - scheduledAt) % intervalMs;
  return Math.round(Math.max(LEAST_SHARE * intervalMs, SHARE_OF_INTERVAL * intervalMs - lateMs));
}

function unfinished(account: LoadedAccount, error: unknown): AccountResult {
  if (error instanceof WorkflowExecutionAlreadyStartedError) return emptyResult(account, 'already_running', null);
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const failure =
    cause instanceof ApplicationFailure || cause instanceof Error
      ? failureOf(cause)
      : { class: 'InternalError', message: 'unknown' };
  return emptyResult(account, 'failed', failure);
}

function emptyResult(account: LoadedAccount, outcome: SyncOutcome, failure: AccountResult['failure']): AccountResult {
  return {
    accountId: account.accountId,
    accountName: account.name,
    runId: null,
    outcome,
    mode: account.mode,
    isComplete: false,
    seen: 0,
    buckets: noCounts(),
    skipped: {},
    failed: {},
    held: {},
    requests: 0,
    batches: 0,
    failure,
  };
}

function gravest(outcomes: readonly SyncOutcome[]): SyncOutcome {
  return outcomes.reduce<SyncOutcome>(
    (worst, outcome) => (GRAVITY.indexOf(outcome) > GRAVITY.indexOf(worst) ? outcome : worst),
    'in_sync',
  );
}
