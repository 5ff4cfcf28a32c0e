import type { AccountId, RunId } from '../domain/ids.js';
import type { AccountResult, RunFailure, SyncOutcome } from '../workflows/api.js';
import { readAccount } from '../storage/accounts.js';
import { readOutboxState } from '../storage/outbox.js';
import { releaseQuarantine } from '../storage/run-findings.js';
import { addRunCosts, closeRunRow, countBuckets, readRun, readRunEnd, type RunCounts } from '../storage/runs.js';
import { noCounts } from '../domain/buckets.js';
import { reportRun } from './report-run.js';
import type { ActivityServices } from './services.js';

export interface CloseRunInput {
  readonly accountId: AccountId;
  /** null: the run could not be opened. */
  readonly runId: RunId | null;
  /** `done`: every phase came to its end. */
  readonly end: 'done' | 'failed' | 'paused' | 'stopped' | 'superseded';
  readonly failure: RunFailure | null;
  /** From the workflow, in case the account is gone. */
  readonly accountName: string;
  readonly mode: 'preview' | 'live';
}

export interface CloseRunResult {
  readonly result: AccountResult;
  /** true: somebody is to be told something. */
  readonly hasMessages: boolean;
}

/**
 * Counts the buckets, stores the outcome, opens and resolves incidents and puts their messages in line. Safe to
 * repeat: messages have keys, incidents are one per problem.
 */
export function createCloseRun(services: ActivityServices) {
  return async function closeRun(input: CloseRunInput): Promise<CloseRunResult> {
    const result = await close(services, input);
    const { waiting } = await readOutboxState(services.db);
    return { result, hasMessages: waiting > 0 };
  };
}

async function close(services: ActivityServices, asked: CloseRunInput): Promise<AccountResult> {
  const { db } = services;
  const run = asked.runId === null ? null : await readRun(db, asked.runId);
  // A run that was overtaken while it came to its end knows nothing of the account any more.
  const input: CloseRunInput = run?.isSuperseded === true ? { ...asked, end: 'superseded' } : asked;
  const account = { accountId: input.accountId, accountName: input.accountName };
  if (run === null) {
    const result = resultOf(input, { seen: 0, counts: null, isComplete: false, costs: { requests: 0, batches: 0 } });
    // An account that somebody has paused was told then; one whose login has just been refused was not.
    const isNews = input.end === 'failed' || input.failure?.class === 'TokenRevoked';
    if (isNews && (await readAccount(db, input.accountId)) !== null) {
      await reportRun(db, { account, run: null, result });
    }
    return result;
  }
  const isPreview = run.mode === 'preview';
  await addRunCosts(db, run.runId, { requests: services.requests.take(run.runId), batches: 0 });
  const counts = await countBuckets(db, { ...run, isPreview });
  const { scanEnded, totalCount } = await readRunEnd(db, run.runId);
  const isComplete = input.end === 'done' && scanEnded && (totalCount === null || counts.seen >= totalCount);
  const outcome = outcomeOf(input, counts, isComplete);
  const costs = await closeRunRow(
    db,
    { runId: run.runId, isOfAllOffers: run.skus === null },
    { outcome, failure: input.failure, counts, isComplete },
  );
  const result = resultOf(input, { seen: counts.seen, counts, isComplete, costs, outcome });
  if (outcome === 'superseded') return result;
  await releaseQuarantine(db, run);
  await reportRun(db, { account, run, result });
  reportMetrics(services, result, run.startedAt);
  return result;
}

function outcomeOf(input: CloseRunInput, { buckets }: RunCounts, isComplete: boolean): SyncOutcome {
  if (input.end !== 'done') return input.end;
  return isComplete && buckets.failed + buckets.held + buckets.pending === 0 ? 'in_sync' : 'problems';
}

function resultOf(
  input: CloseRunInput,
  end: {
    seen: number;
    counts: RunCounts | null;
    isComplete: boolean;
    costs: { requests: number; batches: number };
    outcome?: SyncOutcome;
  },
): AccountResult {
  return {
    accountId: input.accountId,
    accountName: input.accountName,
    runId: input.runId,
    outcome: end.outcome ?? (input.end === 'done' ? 'in_sync' : input.end),
    mode: input.mode,
    isComplete: end.isComplete,
    seen: end.seen,
    buckets: end.counts?.buckets ?? noCounts(),
    skipped: end.counts?.skipped ?? {},
    failed: end.counts?.failed ?? {},
    held: end.counts?.held ?? {},
    ...end.costs,
    failure: input.failure,
  };
}

function reportMetrics(services: ActivityServices, result: AccountResult, startedAt: Date): void {
  const { buckets } = result;
  services.metrics.runClosed({
    accountId: result.accountId,
    seen: result.seen,
    updated: buckets.ended + buckets.lowered + buckets.reactivated + buckets.raised,
    failed: result.failed,
    held: buckets.held,
    pending: buckets.pending,
    durationMs: Date.now() - startedAt.getTime(),
  });
}
