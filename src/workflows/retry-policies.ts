import { ActivityCancellationType, type ActivityOptions, type RetryPolicy } from '@temporalio/workflow';
import { FINAL_FOR_ONE_OFFER, NOBODYS_ANSWER } from '../domain/errors.js';
import { MARKETPLACE_TASK_QUEUE } from './api.js';

/**
 * All retry policies, one sentence per number. They count only answers: what is nobody's answer (a lost worker,
 * PostgreSQL or Redis away, no permit) comes back to the workflow at once and is waited for there
 * (`until-answered.ts`), and what no retry can change is not retried.
 */

/** Run by nobody, or answered by nobody: no attempt. The two time-outs are how a lost worker shows. */
const NOT_AN_ATTEMPT = [...NOBODYS_ANSWER, 'TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat'];
/** A retry would get the same answer. */
const FINAL = [
  ...FINAL_FOR_ONE_OFFER,
  'WritesStopped',
  'Superseded',
  'TokenRevoked',
  'ApplicationRefused',
  'AccountRefused',
  'PayloadsTooLarge',
];

function policy(
  numbers: Pick<RetryPolicy, 'initialInterval' | 'backoffCoefficient' | 'maximumInterval' | 'maximumAttempts'>,
): RetryPolicy {
  return { ...numbers, nonRetryableErrorTypes: [...NOT_AN_ATTEMPT, ...FINAL] };
}

/** How long one database statement or small transaction may take, its worker being heard of. */
const DATABASE_TIMEOUT = '2 minutes';
/** A worker that has not been heard of for this long is lost: the time until another one goes on. */
const HEARTBEAT_TIMEOUT = '10 seconds';

/** A cancelled activity ends the write it is at; the run is counted after that. */
const BETWEEN_WRITES = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/** The list of accounts: tried again after 60 s, 3 times. */
export const ACCOUNT_LIST: ActivityOptions = {
  startToCloseTimeout: DATABASE_TIMEOUT,
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: policy({ initialInterval: '60 seconds', backoffCoefficient: 1, maximumAttempts: 1 + 3 }),
};

/** Opening an account, its token included: tried again after 120 s, twice. */
export const OPENING: ActivityOptions = {
  taskQueue: MARKETPLACE_TASK_QUEUE,
  // A refresh may wait for another process's refresh to end.
  startToCloseTimeout: '3 minutes',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: policy({ initialInterval: '120 seconds', backoffCoefficient: 1, maximumAttempts: 1 + 2 }),
};

/** Bookkeeping in the database: tried again after 10 s, twice, for what is a fault of ours. */
export const BOOKKEEPING: ActivityOptions = {
  startToCloseTimeout: DATABASE_TIMEOUT,
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: policy({ initialInterval: '10 seconds', backoffCoefficient: 2, maximumAttempts: 1 + 2 }),
};

/** Scan, batches and commands: by default tried again after 180 s, twice. */
export function phaseOptions(settings: { phaseRetryCount: number; phaseRetryDelaySeconds: number }): ActivityOptions {
  return {
    taskQueue: MARKETPLACE_TASK_QUEUE,
    // A batch waits for asynchronous endings and for permits of up to 2 s each.
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: BETWEEN_WRITES,
    retry: policy({
      initialInterval: `${settings.phaseRetryDelaySeconds} seconds`,
      backoffCoefficient: 1,
      maximumAttempts: 1 + settings.phaseRetryCount,
    }),
  };
}

/** Longest pause between two attempts for one offer. */
const LONGEST_OFFER_DELAY_SECONDS = 300;

/**
 * One offer: retry n (from 0) comes 30 s · 2ⁿ after the attempt before, at most 300 s. The batch made the first
 * attempt and the workflow sleeps `firstDelayMs`, so that the policy begins with the second pause.
 */
export function offerOptions(settings: { retryCount: number; retryDelaySeconds: number }): {
  firstDelayMs: number;
  options: ActivityOptions;
} {
  const delay = (retry: number): number =>
    Math.min(LONGEST_OFFER_DELAY_SECONDS, settings.retryDelaySeconds * 2 ** retry);
  return {
    firstDelayMs: delay(0) * 1000,
    options: {
      taskQueue: MARKETPLACE_TASK_QUEUE,
      startToCloseTimeout: '3 minutes',
      heartbeatTimeout: HEARTBEAT_TIMEOUT,
      cancellationType: BETWEEN_WRITES,
      retry: policy({
        initialInterval: `${delay(1)} seconds`,
        backoffCoefficient: 2,
        maximumInterval: `${LONGEST_OFFER_DELAY_SECONDS} seconds`,
        maximumAttempts: Math.max(1, settings.retryCount),
      }),
    },
  };
}
