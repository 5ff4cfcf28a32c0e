import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, MarketplaceActivities } from '../activities/index.js';
import type { RunId } from '../domain/ids.js';
import {
  accountProgressQuery,
  SYNC_OUTCOME_KEY,
  type AccountProgress,
  type AccountResult,
  type ContinuedRun,
  type RunFailure,
  type ScanCursor,
  type SyncAccountInput,
} from './api.js';
import { describeResult } from './details.js';
import { BOOKKEEPING, OPENING, phaseOptions } from './retry-policies.js';
import { failureOf, untilAnswered, waitAsTold, waitForPermit, type Patience } from './until-answered.js';
import { ONE_REQUEST, writeChanges, type NextBatch } from './write-changes.js';

const DEFAULT_DEADLINE_MS = 6 * 3_600_000;
/** Closing goes on this long after the deadline: what was done is counted and told in any case. */
const CLOSING_PATIENCE_MS = 3_600_000;

/** How a run came to its end. */
interface RunEnd {
  readonly end: 'done' | 'failed' | 'paused' | 'stopped' | 'superseded';
  readonly failure: RunFailure | null;
}

/** What is known of the run; filled by opening it, carried on by continue-as-new. */
type OpenedRun = Omit<ContinuedRun, 'cursor'>;

/**
 * Makes the offers of one account equal to the local stock: scans, compares, corrects, confirms, counts, tells.
 * The work lies in database rows; this history holds cursors and counts (about 3 events per 1000 unchanged offers) and
 * continues as new when it grows. Returns the buckets; never fails for what a marketplace answers.
 */
export async function syncAccount(input: SyncAccountInput): Promise<AccountResult> {
  const progress: { -readonly [Key in keyof AccountProgress]: AccountProgress[Key] } = {
    accountId: input.accountId,
    runId: input.continued?.runId ?? null,
    phase: 'opening',
    seen: input.continued?.seen ?? 0,
    total: null,
    differing: input.continued?.differing ?? 0,
    settled: 0,
    waitingUntil: null,
  };
  setHandler(accountProgressQuery, () => progress);
  const deadlineAt = input.deadlineAt ?? new Date(Date.now() + DEFAULT_DEADLINE_MS).toISOString();
  const patience: Patience = {
    deadline: Date.parse(deadlineAt),
    onWait: (until) => (progress.waitingUntil = until === null ? null : new Date(until).toISOString()),
  };
  const priority = input.trigger === 'manual' ? 'adhoc' : 'scheduled';
  const { openRun } = proxyActivities<MarketplaceActivities>(OPENING);
  const { awaitRateLimit, checkGuards, closeRun, notify } = proxyActivities<Activities>(BOOKKEEPING);

  let opened: OpenedRun | null = input.continued ?? null;
  let head: { accountName: string; mode: 'preview' | 'live' } = input.continued ?? {
    accountName: input.accountId,
    mode: 'preview',
  };

  const end = await endOf(work);
  return CancellationScope.nonCancellable(() => close(end));

  async function work(): Promise<RunEnd> {
    if (opened === null) {
      const result = await untilAnswered(patience, () =>
        openRun.executeWithOptions({ summary: `open ${input.accountId}` }, [
          {
            accountId: input.accountId,
            trigger: input.trigger,
            groupId: input.groupId ?? null,
            skus: input.skus ?? null,
            isPreview: input.preview ?? false,
          },
        ]),
      );
      head = { accountName: result.accountName, mode: result.mode };
      if (result.kind === 'not_opened') return { end: result.outcome, failure: result.failure };
      opened = { ...head, runId: result.runId, settings: result.settings, seen: 0, differing: 0, isScanned: false };
    }
    const run = opened;
    progress.runId = run.runId;
    if (!run.isScanned) {
      if (input.continued === undefined && run.mode === 'live') await settleEarlierCommands(run);
      await scan(run, input.continued?.cursor ?? { position: 0 });
      // Raises and returns are among what differs: a run that changes nothing asks for nothing.
      if (progress.differing > 0) await confirmSales(run);
      progress.phase = 'guarding';
      await untilAnswered(patience, () =>
        checkGuards.executeWithOptions({ summary: 'hold back mass endings' }, [{ runId: run.runId }]),
      );
    }
    if (run.mode === 'live') {
      progress.phase = 'writing';
      await writeChanges(run, {
        patience,
        priority,
        awaitPermit: (next) => awaitPermit(run.runId, next),
        onPhase: (phase) => (progress.phase = phase),
        onSettled: (count) => (progress.settled += count),
        continueLater: () => continueRun({ ...run, isScanned: true, cursor: { position: 0 } }),
      });
    }
    return { end: 'done', failure: null };
  }

  async function settleEarlierCommands(run: OpenedRun): Promise<void> {
    progress.phase = 'settling';
    const { checkCommands } = proxyActivities<MarketplaceActivities>(phaseOptions(run.settings));
    for (;;) {
      const { wait } = await untilAnswered(patience, () =>
        checkCommands.executeWithOptions({ summary: 'settle what earlier runs left open' }, [
          { runId: run.runId, of: 'earlier_runs', priority, isLastCheck: true },
        ]),
      );
      if (wait === undefined) return;
      await waitAsTold(patience, wait);
    }
  }

  async function scan(run: OpenedRun, from: ScanCursor): Promise<void> {
    progress.phase = 'scanning';
    const { scanOffers } = proxyActivities<MarketplaceActivities>(phaseOptions(run.settings));
    let cursor: ScanCursor | null = from;
    while (cursor !== null) {
      const at: ScanCursor = cursor;
      await awaitPermit(run.runId, ONE_REQUEST);
      const page = await untilAnswered(patience, () =>
        scanOffers.executeWithOptions({ summary: summariseScan(at) }, [{ runId: run.runId, cursor: at, priority }]),
      );
      progress.seen += page.seen;
      progress.differing += page.differing;
      progress.total = page.total;
      ({ cursor } = page);
      if (page.wait !== undefined) await waitAsTold(patience, page.wait);
      if (cursor !== null && workflowInfo().continueAsNewSuggested) {
        await continueRun({ ...run, cursor, isScanned: false });
      }
    }
  }

  async function confirmSales(run: OpenedRun): Promise<void> {
    progress.phase = 'asking for sales';
    await awaitPermit(run.runId, ONE_REQUEST);
    const { confirmSales: ask } = proxyActivities<MarketplaceActivities>(phaseOptions(run.settings));
    await untilAnswered(patience, () =>
      ask.executeWithOptions({ summary: 'sales that the stock may not have booked' }, [{ runId: run.runId, priority }]),
    );
  }

  async function awaitPermit(runId: RunId, next: NextBatch): Promise<void> {
    const { waitMs, scope } = await untilAnswered(patience, () =>
      awaitRateLimit.executeWithOptions({ summary: 'room for the next batch?' }, [{ runId, priority, ...next }]),
    );
    // Under 2 s the wait belongs to the request itself, where no timer is needed.
    if (waitMs >= 2_000)
      await waitForPermit(patience, waitMs, `${scope ?? 'quota'} is full for ${Math.ceil(waitMs / 1000)} s`);
  }

  async function continueRun(run: ContinuedRun): Promise<never> {
    return continueAsNew<typeof syncAccount>({
      ...input,
      deadlineAt,
      continued: { ...run, seen: progress.seen, differing: progress.differing },
    });
  }

  async function close({ end: kind, failure }: RunEnd): Promise<AccountResult> {
    progress.phase = 'closing';
    const closing: Patience = { deadline: Date.now() + CLOSING_PATIENCE_MS };
    const { result, hasMessages } = await untilAnswered(closing, () =>
      closeRun.executeWithOptions({ summary: `count and close: ${kind}` }, [
        { ...head, accountId: input.accountId, runId: opened?.runId ?? null, end: kind, failure },
      ]),
    );
    upsertSearchAttributes([{ key: SYNC_OUTCOME_KEY, value: result.outcome }]);
    setCurrentDetails(describeResult(result));
    // The compensation: a person is told of what could not be corrected.
    if (hasMessages) {
      await untilAnswered(closing, () =>
        notify.executeWithOptions({ summary: `tell: ${result.outcome}` }, [{ reason: result.outcome }]),
      );
    }
    progress.phase = 'done';
    return result;
  }
}

function summariseScan({ position, missing }: ScanCursor): string {
  return missing === undefined ? `offers from ${position}` : `offers that the listing lacks, from ${missing.looked}`;
}

/** Runs the work and tells how it ended. Only continue-as-new leaves as an exception. */
async function endOf(work: () => Promise<RunEnd>): Promise<RunEnd> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    if (isCancellation(error))
      return { end: 'stopped', failure: { class: 'Cancelled', message: 'the run was cancelled' } };
    const failure = failureOf(error);
    return { end: endForClass(failure.class), failure };
  }
}

function endForClass(errorClass: string): RunEnd['end'] {
  switch (errorClass) {
    case 'WritesStopped':
      return 'stopped';
    case 'Superseded':
      return 'superseded';
    case 'TokenRevoked':
      return 'paused';
    default:
      return 'failed';
  }
}
