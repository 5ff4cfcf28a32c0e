import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities, MarketplaceActivities } from '../../src/activities/index.js';
import { noCounts } from '../../src/domain/buckets.js';
import type { ErrorFacts, SyncErrorType } from '../../src/domain/errors.js';
import { toOfferId, toRunId } from '../../src/domain/ids.js';
import type { RunSettings } from '../../src/workflows/api.js';

/** What the activities of one workflow answer. A test names those it is about; the others say that all is well. */
export type Script = Activities & MarketplaceActivities;

/** Short enough for tests; the numbers of production are in `src/activities/open-run.ts`. */
export const QUICK_SETTINGS: RunSettings = {
  retryCount: 2,
  retryDelaySeconds: 0.05,
  commandPatienceSeconds: 60,
  phaseRetryCount: 2,
  phaseRetryDelaySeconds: 0.05,
};

export const RUN_ID = toRunId(randomUUID());

export function anOpenRun(changes: { mode?: 'preview' | 'live'; settings?: Partial<RunSettings> } = {}) {
  return () =>
    Promise.resolve({
      kind: 'open' as const,
      runId: RUN_ID,
      accountName: 'Shop',
      mode: changes.mode ?? ('live' as const),
      settings: { ...QUICK_SETTINGS, ...changes.settings },
    });
}

/** What one call of the scan answers; without a cursor it was the last. */
export function aPage(page: Partial<Awaited<ReturnType<Script['scanOffers']>>> = {}): Script['scanOffers'] {
  return () => Promise.resolve({ cursor: null, seen: 10, differing: 0, total: 10, ...page });
}

/** The run has no differing offer, the marketplace and all other parts are there. */
export function aScript(overrides: Partial<Script> = {}): Script {
  return {
    loadAccounts: () => Promise.resolve({ accounts: [] }),
    recordTick: () => Promise.resolve(),
    openRun: anOpenRun(),
    awaitRateLimit: hasRoom,
    checkCommands: () => Promise.resolve({ open: 0, retry: [] }),
    scanOffers: aPage(),
    confirmSales: () => Promise.resolve({ held: 0, accounts: 1 }),
    checkGuards: () => Promise.resolve({ held: 0, allowedOffers: 10 }),
    planWrites: () => Promise.resolve({ phases: [] }),
    submitCommand: () => Promise.resolve({ isSent: true }),
    updateOfferBatch: () => Promise.resolve({ retry: [], settled: 50 }),
    updateOfferStock: () => Promise.resolve(),
    rejectOffer: () => Promise.resolve(),
    giveUpCommand: () => Promise.resolve(),
    closeRun: (input) =>
      Promise.resolve({
        result: {
          accountId: input.accountId,
          accountName: input.accountName,
          runId: input.runId,
          outcome: input.end === 'done' ? 'in_sync' : input.end,
          mode: input.mode,
          isComplete: input.end === 'done',
          seen: 10,
          buckets: { ...noCounts(), in_sync: 10 },
          skipped: {},
          failed: {},
          held: {},
          requests: 1,
          batches: 0,
          failure: input.failure,
        },
        hasMessages: input.end !== 'done',
      }),
    notify: () => Promise.resolve({ sent: 1, failed: 0 }),
    housekeep: () => Promise.resolve({ runs: 0, incidents: 0, messages: 0 }),
    ...overrides,
  };
}

export const hasRoom: Script['awaitRateLimit'] = () => Promise.resolve({ waitMs: 0, scope: null });

/** One answer per call; the last one is repeated. */
export function inTurn<Input, Result>(
  ...answers: readonly [Answer<Input, Result>, ...Answer<Input, Result>[]]
): Answer<Input, Result> {
  let calls = 0;
  return (input) => {
    const answer = answers[Math.min(calls, answers.length - 1)] ?? answers[0];
    calls += 1;
    return answer(input);
  };
}

type Answer<Input, Result> = (input: Input) => Promise<Result>;

/** As `withFailures` lets an error cross. */
export function failure(type: SyncErrorType | 'InternalError', facts: ErrorFacts = {}): ApplicationFailure {
  return ApplicationFailure.create({ type, message: `${type} in a test`, details: [{ ...facts }] });
}

/** One wave of changes to send, then nothing is left. */
export function plansOnce(phases: Awaited<ReturnType<Script['planWrites']>>['phases']): Script['planWrites'] {
  return inTurn(
    () => Promise.resolve({ phases }),
    () => Promise.resolve({ phases: [] }),
  );
}

export function aPhase(phase: {
  kind?: 'end' | 'lower' | 'reactivate' | 'raise';
  batches?: number[];
  commandIds?: string[];
}) {
  return { kind: 'lower' as const, batches: [], commandIds: [], ...phase };
}

export const OFFER = toOfferId('7000000001');

/** Beats until the activity is cancelled, as a batch between two writes does; then ends after its last write. */
export async function untilCancelled({ lastWriteMs = 0 } = {}): Promise<never> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  try {
    return await context.cancelled;
  } catch (cancellation) {
    await new Promise((resolve) => setTimeout(resolve, lastWriteMs));
    throw cancellation;
  } finally {
    clearInterval(beat);
  }
}
