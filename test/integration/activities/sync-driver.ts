import { ApplicationFailure } from '@temporalio/common';
import type { Activities, MarketplaceActivities } from '../../../src/activities/index.js';
import type { AccountId, OfferId, RunId } from '../../../src/domain/ids.js';
import type { CloseRunInput } from '../../../src/activities/close-run.js';
import type { AccountResult, RunFailure, ScanCursor } from '../../../src/workflows/api.js';

type All = Activities & MarketplaceActivities;

export interface DrivenRun {
  readonly accountId: AccountId;
  readonly runId: RunId;
  /** Called between any two activities. */
  readonly between?: () => Promise<void>;
  /** Attempts per offer, and per activity that concerns all offers. */
  readonly offerAttempts?: number;
  readonly phaseAttempts?: number;
  /** Rounds of asking for the reports of commands. */
  readonly commandChecks?: number;
  /** Before each of these rounds. */
  readonly checkPauseMs?: number;
}

/** What no retry changes, or concerns all: as in `workflows/retry-policies.ts`. */
const OFFER_CLASSES = [
  'OfferConflict',
  'OutcomeUnknown',
  'OfferNotFound',
  'OfferRejected',
  'AccessDenied',
  'InvalidAnswer',
  'InternalError',
];
/** Of what concerns all offers: a retry would get the same answer. */
const FINAL = ['Superseded', 'WritesStopped', 'TokenRevoked', 'AccountRefused', 'ApplicationRefused'];
const NOBODYS_ANSWER = ['RateLimited', 'DependencyUnavailable'];
const MOST_ROUNDS = 10;

/**
 * Runs the activities in the order of `syncAccount`, without Temporal and without its pauses, so that many runs fit
 * into a second.
 */
export async function driveSync(act: All, run: DrivenRun): Promise<AccountResult> {
  const { accountId, runId, offerAttempts = 4, phaseAttempts = 3, commandChecks = 40, checkPauseMs = 10 } = run;
  const between = run.between ?? (() => Promise.resolve());

  async function answered<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1, free = 1; ;) {
      await between();
      try {
        return await work();
      } catch (error) {
        const type = error instanceof ApplicationFailure ? (error.type ?? '') : '';
        const isFree = NOBODYS_ANSWER.includes(type);
        const isFinal = FINAL.includes(type);
        if (isFinal || (isFree ? free >= 20 : attempt >= phaseAttempts)) throw error;
        if (isFree) free += 1;
        else attempt += 1;
      }
    }
  }

  async function retryOffer(offerId: OfferId): Promise<void> {
    for (let free = 0; ;) {
      await between();
      try {
        await act.updateOfferStock({ runId, offerId, priority: 'scheduled', maxAttempts: offerAttempts });
        return;
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error;
        const type = error.type ?? '';
        if (NOBODYS_ANSWER.includes(type) && free < 20) free += 1;
        else if (!OFFER_CLASSES.includes(type)) throw error;
        else if (error.nonRetryable === true) {
          await answered(() => act.rejectOffer({ runId, offerId, errorClass: type, message: error.message }));
          return;
        }
      }
    }
  }

  async function settleCommands(): Promise<void> {
    for (let check = 1; check <= commandChecks; check += 1) {
      await new Promise((resolve) => setTimeout(resolve, checkPauseMs));
      const { open, retry } = await answered(() =>
        act.checkCommands({ runId, of: 'this_run', priority: 'scheduled', isLastCheck: check === commandChecks }),
      );
      for (const offerId of retry) await retryOffer(offerId);
      if (open === 0) return;
    }
  }

  /** Without an answer at any attempt, its offers go alone. */
  async function sendCommand(commandId: string): Promise<boolean> {
    try {
      return (await answered(() => act.submitCommand({ runId, commandId, priority: 'scheduled' }))).isSent;
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || !OFFER_CLASSES.includes(error.type ?? '')) throw error;
      await answered(() => act.giveUpCommand({ runId, commandId, message: error.message }));
      return false;
    }
  }

  /** What had to wait for a permit is the same batch once more. */
  async function sendBatch(batch: number): Promise<readonly OfferId[]> {
    for (;;) {
      const { retry, wait } = await answered(() => act.updateOfferBatch({ runId, batch, priority: 'scheduled' }));
      if (wait === undefined) return retry;
    }
  }

  async function work(): Promise<void> {
    await answered(() => act.checkCommands({ runId, of: 'earlier_runs', priority: 'scheduled', isLastCheck: true }));
    let cursor: ScanCursor | null = { position: 0 };
    while (cursor !== null) {
      const at: ScanCursor = cursor;
      ({ cursor } = await answered(() => act.scanOffers({ runId, cursor: at, priority: 'scheduled' })));
    }
    await answered(() => act.confirmSales({ runId, priority: 'scheduled' }));
    await answered(() => act.checkGuards({ runId }));
    let hasCommands = false;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const { phases } = await answered(() => act.planWrites({ runId }));
      if (phases.length === 0) {
        if (!hasCommands) return;
        await settleCommands();
        hasCommands = false;
        continue;
      }
      for (const { commandIds, batches } of phases) {
        for (const commandId of commandIds) {
          hasCommands = (await sendCommand(commandId)) || hasCommands;
        }
        for (const batch of batches) {
          for (const offerId of await sendBatch(batch)) await retryOffer(offerId);
        }
      }
    }
  }

  const failure = await work().then(
    () => null,
    (error: unknown) => {
      if (!(error instanceof ApplicationFailure)) throw error;
      return failureOf(error);
    },
  );
  const end = failure === null ? 'done' : (ENDS.get(failure.class) ?? 'failed');
  const { result } = await act.closeRun({ accountId, runId, end, failure, accountName: accountId, mode: 'live' });
  return result;
}

/** As in `workflows/sync-account.ts`. */
const ENDS = new Map<string, CloseRunInput['end']>([
  ['Superseded', 'superseded'],
  ['TokenRevoked', 'paused'],
  ['WritesStopped', 'stopped'],
]);

function failureOf(error: ApplicationFailure): RunFailure {
  const facts: unknown = error.details?.[0];
  const whatToDo: unknown = new Map<string, unknown>(Object.entries(facts ?? {})).get('whatToDo');
  return {
    class: error.type ?? 'InternalError',
    message: error.message,
    ...(typeof whatToDo === 'string' ? { whatToDo } : {}),
  };
}

/** Pieces in all buckets together. */
export function sumOfBuckets(result: AccountResult): number {
  return Object.values(result.buckets).reduce((sum, count) => sum + count, 0);
}
