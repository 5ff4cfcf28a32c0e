import { ApplicationFailure, isCancellation, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { AwaitRateLimitInput } from '../activities/await-rate-limit.js';
import type { Activities, MarketplaceActivities } from '../activities/index.js';
import type { OfferId } from '../domain/ids.js';
import { SENDS_AT_ONCE, type ContinuedRun, type SyncPhase } from './api.js';
import { BOOKKEEPING, offerOptions, phaseOptions } from './retry-policies.js';
import { failureOf, sleepWithin, untilAnswered, waitAsTold, type Patience } from './until-answered.js';
import { runInWindow, runTogether } from './window.js';

/** Batches of one account at work: more would only queue for the same permits. */
export const BATCHES_AT_ONCE = 4;
/**
 * Single offers of one account being tried again at the same time. A write that gets no answer holds its slot until its
 * time-out: two accounts of which nothing is answered must leave slots to the others, or these could not even open.
 */
export const RETRIES_AT_ONCE = 24;
/** Changes that are sent back are planned anew; each can be sent back twice at most, so this is never reached. */
const MOST_ROUNDS = 10;
/** So many commands without a clear answer at any attempt, and nothing else with one, are an outage. */
const OUTAGE_AFTER_COMMANDS = 3;
const FIRST_CHECK_AFTER_MS = 2_000;
const LONGEST_CHECK_PAUSE_MS = 10_000;

/** What `awaitRateLimit` makes room for. */
export type NextBatch = Pick<AwaitRateLimitInput, 'requestsAtOnce' | 'isWriting'>;

export const ONE_REQUEST: NextBatch = { requestsAtOnce: 1, isWriting: false };

export interface WriteContext {
  readonly patience: Patience;
  readonly priority: 'adhoc' | 'scheduled';
  awaitPermit(next: NextBatch): Promise<void>;
  onPhase(phase: SyncPhase): void;
  onSettled(count: number): void;
  /** Continues as new: the rows tell what is left. */
  continueLater(): Promise<never>;
}

/**
 * Sends the planned changes of a run, most dangerous first: commands and batches of up to 50, one attempt each; an
 * offer that needs another attempt gets `updateOfferStock` with its declared retries while the rest goes on.
 */
export function writeChanges(run: Omit<ContinuedRun, 'cursor'>, context: WriteContext): Promise<void> {
  return runTogether((start) => sendAll(run, context, start));
}

async function sendAll(
  run: Omit<ContinuedRun, 'cursor'>,
  context: WriteContext,
  start: (job: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { patience, priority } = context;
  const { runId, settings } = run;
  const { planWrites, rejectOffer, giveUpCommand } = proxyActivities<Activities>(BOOKKEEPING);
  const { submitCommand, checkCommands, updateOfferBatch } = proxyActivities<MarketplaceActivities>(
    phaseOptions(settings),
  );
  const offerRetry = offerOptions(settings);
  const { updateOfferStock } = proxyActivities<MarketplaceActivities>(offerRetry.options);
  const retries: Promise<void>[] = [];
  const waiting: OfferId[] = [];
  /** Waiting, or being tried again: reports name them until that was done. */
  const retrying = new Set<OfferId>();
  let lanes = 0;
  let hasCommands = false;
  let answered = 0;
  let givenUp = 0;

  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const isIdle = retries.length === 0 && !hasCommands;
    const { phases } = await untilAnswered(patience, () =>
      planWrites.executeWithOptions({ summary: 'order the changes by danger' }, [{ runId, isIdle }]),
    );
    if (phases.length === 0) {
      // What a retry or a command has sent back needs one more round.
      if (!(await settleSent())) return;
      continue;
    }
    for (const { kind, commandIds, batches } of phases) {
      await runInWindow(commandIds, BATCHES_AT_ONCE, (commandId) => sendCommand(kind, commandId));
      await runInWindow(batches, BATCHES_AT_ONCE, (batch) => sendBatch(kind, batch));
      if (workflowInfo().continueAsNewSuggested) {
        await settleSent();
        await context.continueLater();
      }
    }
  }

  async function sendCommand(kind: string, commandId: string): Promise<void> {
    if (workflowInfo().continueAsNewSuggested) return;
    await context.awaitPermit(ONE_REQUEST);
    try {
      const { isSent } = await untilAnswered(patience, () =>
        submitCommand.executeWithOptions({ summary: `${kind}: many offers at once` }, [{ runId, commandId, priority }]),
      );
      hasCommands ||= isSent;
      answered += 1;
    } catch (error) {
      if (isCancellation(error)) throw error;
      await giveUp(kind, commandId, error);
    }
  }

  /** One command without an answer must not end the run of all others; many without one are the marketplace's trouble. */
  async function giveUp(kind: string, commandId: string, error: unknown): Promise<void> {
    const failure = failureOf(error);
    if (!isOfOneOffer(failure.class)) throw error;
    givenUp += 1;
    if (answered === 0 && givenUp >= OUTAGE_AFTER_COMMANDS) {
      const message = `${givenUp} commands without an answer: ${failure.message}`;
      throw ApplicationFailure.nonRetryable(message, 'MarketplaceUnavailable');
    }
    await untilAnswered(patience, () =>
      giveUpCommand.executeWithOptions({ summary: `${kind}: a command without an answer` }, [
        { runId, commandId, message: failure.message },
      ]),
    );
  }

  async function sendBatch(kind: string, batch: number): Promise<void> {
    if (workflowInfo().continueAsNewSuggested) return;
    for (;;) {
      await context.awaitPermit({ requestsAtOnce: SENDS_AT_ONCE, isWriting: true });
      const { settled, retry, wait } = await untilAnswered(patience, () =>
        updateOfferBatch.executeWithOptions({ summary: `${kind}: batch ${batch}` }, [{ runId, batch, priority }]),
      );
      if (settled > 0) answered += 1;
      context.onSettled(settled);
      retryLater(retry);
      if (wait === undefined) return;
      await waitAsTold(patience, wait);
    }
  }

  function retryLater(offerIds: readonly OfferId[]): void {
    const fresh = offerIds.filter((offerId) => !retrying.has(offerId));
    for (const offerId of fresh) retrying.add(offerId);
    waiting.push(...fresh);
    while (lanes < RETRIES_AT_ONCE) {
      const first = waiting.shift();
      if (first === undefined) return;
      lanes += 1;
      retries.push(start(() => retryLane(first)));
    }
  }

  async function retryLane(first: OfferId): Promise<void> {
    for (let offerId: OfferId | undefined = first; offerId !== undefined; offerId = waiting.shift()) {
      await retryOffer(offerId);
      retrying.delete(offerId);
    }
    lanes -= 1;
  }

  async function retryOffer(offerId: OfferId): Promise<void> {
    const failure = await retryUntilFinal(offerId);
    if (failure !== null) {
      await untilAnswered(patience, () =>
        rejectOffer.executeWithOptions({ summary: `offer ${offerId}: attempts used up` }, [
          { runId, offerId, errorClass: failure.class, message: failure.message },
        ]),
      );
    }
    context.onSettled(1);
  }

  /** Makes the declared retries. null: the offer needs nothing more; else its attempts are used up. */
  async function retryUntilFinal(offerId: OfferId): Promise<{ class: string; message: string } | null> {
    // The row keeps the class and the message of the one attempt.
    if (settings.retryCount === 0) return { class: 'OutcomeUnknown', message: 'no retry is configured' };
    const maxAttempts = 1 + settings.retryCount;
    try {
      await sleepWithin(patience, offerRetry.firstDelayMs, `offer ${offerId}: pause before its first retry`);
      await untilAnswered(patience, () =>
        updateOfferStock.executeWithOptions({ summary: `offer ${offerId}: another attempt` }, [
          { runId, offerId, priority, maxAttempts },
        ]),
      );
      return null;
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = failureOf(error);
      if (isOfOneOffer(failure.class)) return failure;
      throw error;
    }
  }

  /** Waits for retries and commands. true: something may have been sent back to be planned again. */
  async function settleSent(): Promise<boolean> {
    const hadWork = retries.length > 0 || hasCommands;
    context.onPhase('confirming');
    if (hasCommands) await settleCommands();
    hasCommands = false;
    await Promise.all(retries.splice(0));
    context.onPhase('writing');
    return hadWork;
  }

  async function settleCommands(): Promise<void> {
    const patienceEnds = Date.now() + settings.commandPatienceSeconds * 1000;
    for (let pauseMs = FIRST_CHECK_AFTER_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_CHECK_PAUSE_MS)) {
      await sleep(pauseMs, { summary: 'commands at work' });
      const isLastCheck = Date.now() >= patienceEnds;
      const { open, retry, wait } = await untilAnswered(patience, () =>
        checkCommands.executeWithOptions({ summary: 'reports of commands' }, [
          { runId, of: 'this_run', priority, isLastCheck },
        ]),
      );
      retryLater(retry);
      if (wait !== undefined) await waitAsTold(patience, wait);
      else if (open === 0 || isLastCheck) return;
    }
  }
}

/** Classes that end one offer; everything else ends or pauses the account. */
function isOfOneOffer(errorClass: string): boolean {
  return [
    'OfferConflict',
    'OutcomeUnknown',
    'OfferNotFound',
    'OfferRejected',
    'AccessDenied',
    'InvalidAnswer',
    'InternalError',
  ].includes(errorClass);
}
