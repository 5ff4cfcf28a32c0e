import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery } from '@temporalio/workflow';
import type { BucketCounts } from '../domain/buckets.js';
import type { AccountId, RunId } from '../domain/ids.js';

/**
 * What the command line and the workers share about the workflows: names, ids, inputs, results, queries. Free of side
 * effects and of workflow code, so that a client can import it.
 */

/** Workflows and database work. */
export const TASK_QUEUE = 'allegro-stock-sync';
/** Activities that send requests to the marketplace. */
export const MARKETPLACE_TASK_QUEUE = 'allegro-stock-sync-marketplace';

/** Requests of one batch of writes in flight. */
export const SENDS_AT_ONCE = 5;

/**
 * Activities of a worker that send requests, at once. × 5 writes each: the 2 s × 150 requests/s that it may have in flight.
 * A scan looks at up to 10 offers at once; the gate of the HTTP client bounds all of them together.
 */
export const MARKETPLACE_SLOTS = 60;

export const SCHEDULE_ID = 'allegro-stock-sync';
export const SYNC_ALL_ACCOUNTS = 'syncAllAccounts';
export const SYNC_ACCOUNT = 'syncAccount';
export const HOUSEKEEPING = 'housekeeping';
/** The Schedule appends its nominal time. */
export const SYNC_ALL_ACCOUNTS_ID = 'sync-all-accounts';
export const HOUSEKEEPING_SCHEDULE_ID = 'allegro-stock-sync-housekeeping';

export function syncAccountId(accountId: string): string {
  return `sync-account/${accountId}`;
}

/** Keyword search attributes; registered by `--search-attribute` of the local server or by `temporal operator`. */
export const SEARCH_ATTRIBUTE_NAMES = ['AccountId', 'SyncTrigger', 'SyncOutcome'] as const;
export const ACCOUNT_ID_KEY = defineSearchAttributeKey('AccountId', 'KEYWORD');
export const SYNC_TRIGGER_KEY = defineSearchAttributeKey('SyncTrigger', 'KEYWORD');
export const SYNC_OUTCOME_KEY = defineSearchAttributeKey('SyncOutcome', 'KEYWORD');
/** Temporal's own: when the Schedule meant a run to start. */
export const SCHEDULED_START_KEY = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

export type SyncTrigger = 'schedule' | 'manual';

export const SYNC_OUTCOMES = [
  'in_sync',
  'problems',
  'failed',
  'paused',
  'stopped',
  'superseded',
  'running',
  'already_running',
] as const;
/** `running`: the parent stopped waiting, the account goes on. `already_running`: an earlier run was still at work. */
export type SyncOutcome = (typeof SYNC_OUTCOMES)[number];

export interface SyncAllAccountsInput {
  readonly trigger: SyncTrigger;
  /** Only these accounts; absent: all that are active. */
  readonly accountIds?: readonly AccountId[];
  readonly skus?: readonly string[];
  readonly preview?: boolean;
  /** Seconds between runs: the parent returns at 80 % of it. */
  readonly intervalSeconds: number;
}

export interface SyncAllAccountsResult {
  readonly runId: string;
  /** The worst of the accounts' outcomes; `in_sync` when there is no active account. */
  readonly outcome: SyncOutcome;
  readonly accounts: readonly AccountResult[];
  /** Said to a person when there is something to say, as "no active account". */
  readonly note?: string;
}

export interface SyncAccountInput {
  readonly accountId: AccountId;
  readonly trigger: SyncTrigger;
  /** The run of `syncAllAccounts` it belongs to. */
  readonly groupId?: string;
  readonly skus?: readonly string[];
  readonly preview?: boolean;
  /** ISO time after which the run ends with what it has; absent: 6 h from the start. */
  readonly deadlineAt?: string;
  /** Only set by continue-as-new. */
  readonly continued?: ContinuedRun;
}

/** What one execution of `syncAccount` hands to the next. */
export interface ContinuedRun {
  readonly runId: RunId;
  readonly accountName: string;
  readonly mode: 'preview' | 'live';
  readonly settings: RunSettings;
  readonly cursor: ScanCursor;
  /** true: the scan is over, what is left is to send. */
  readonly isScanned: boolean;
  readonly seen: number;
  readonly differing: number;
}

/** The settings of a run that its workflow acts on: data, so that a replay sees the same. */
export interface RunSettings {
  /** Retries of one offer after its first attempt, and the pause before the first of them. */
  readonly retryCount: number;
  readonly retryDelaySeconds: number;
  readonly commandPatienceSeconds: number;
  /** Retries of a scan, a batch or a command when the marketplace as a whole does not answer. */
  readonly phaseRetryCount: number;
  readonly phaseRetryDelaySeconds: number;
}

/** Where the scan goes on: a listing offset, or the position in the list of chosen SKUs. */
export interface ScanCursor {
  readonly position: number;
  /** Set after that: offers that were known before are asked for one by one. \`total\`: what the listing counted. */
  readonly missing?: { readonly looked: number; readonly total: number | null };
}

/** Why an account as a whole failed, is paused or was stopped. */
export interface RunFailure {
  readonly class: string;
  readonly message: string;
  /** What a person can do about it; absent: not known, or it passes by itself. */
  readonly whatToDo?: string;
}

export interface AccountResult {
  readonly accountId: string;
  readonly accountName: string;
  readonly runId: string | null;
  readonly outcome: SyncOutcome;
  readonly mode: 'preview' | 'live';
  readonly isComplete: boolean;
  readonly seen: number;
  readonly buckets: BucketCounts;
  /** Reason → count. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Error class → count. */
  readonly failed: Readonly<Record<string, number>>;
  /** Reason → count. */
  readonly held: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly batches: number;
  /** Why the account as a whole failed, is paused or was stopped. */
  readonly failure: RunFailure | null;
}

export type SyncPhase =
  'opening' | 'settling' | 'scanning' | 'asking for sales' | 'guarding' | 'writing' | 'confirming' | 'closing' | 'done';

export interface AccountProgress {
  readonly accountId: string;
  readonly runId: string | null;
  readonly phase: SyncPhase;
  readonly seen: number;
  /** Offers the listing says there are; null before the first page. */
  readonly total: number | null;
  readonly differing: number;
  /** Changes that have their final state. */
  readonly settled: number;
  /** ISO time until which the run waits for a permit; null: it does not wait. */
  readonly waitingUntil: string | null;
}

export const accountProgressQuery = defineQuery<AccountProgress>('progress');

export interface AllAccountsProgress {
  readonly accounts: readonly { readonly accountId: string; readonly outcome: SyncOutcome }[];
}

export const allAccountsProgressQuery = defineQuery<AllAccountsProgress>('progress');
