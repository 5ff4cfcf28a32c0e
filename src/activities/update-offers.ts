import { ApplicationFailure } from '@temporalio/common';
import pLimit from 'p-limit';
import { isSyncErrorType, RETRYABLE_FOR_ONE_OFFER, SyncError } from '../domain/errors.js';
import type { OfferId, RunId } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import { forgetAttempts, readOffersToRetry, rejectChange } from '../storage/attempts.js';
import { readBatch, readChange, type OfferChange } from '../storage/changes.js';
import { returnToPlan } from '../storage/commands.js';
import { SENDS_AT_ONCE } from '../workflows/api.js';
import { withHeartbeat } from './heartbeat.js';
import { toPermitWait, type PermitWait } from './permit-wait.js';
import { inRun, type RunScope } from './run-scope.js';
import { pollOperation, sendChange, type Attempt } from './send-change.js';
import type { ActivityServices } from './services.js';

/** This many unknown outcomes with not one clear answer are an outage, not the offers' fault. */
const OUTAGE_AFTER = 8;
/** Longest that a batch waits for writes that were answered `accepted`; what is left is asked for later. */
const POLL_FOR_MS = 60_000;
/** Allegro asks for 5 s; a shorter wish is not followed below this. */
const SHORTEST_POLL_PAUSE_MS = 250;

export interface UpdateOfferBatchInput {
  readonly runId: RunId;
  readonly batch: number;
  readonly priority: Call['priority'];
}

export interface UpdateOfferBatchResult {
  /** Offers that need another attempt. */
  readonly retry: readonly OfferId[];
  /** Changes that need nothing more. */
  readonly settled: number;
  /** The rest has to wait this long for a permit; the same batch is then to be sent again. */
  readonly wait?: PermitWait | undefined;
}

/** Sends up to 50 changes, one attempt each, as far as there are permits. */
export function createUpdateOfferBatch(services: ActivityServices) {
  return function updateOfferBatch(input: UpdateOfferBatchInput): Promise<UpdateOfferBatchResult> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal, isBatch: true }, async (scope) => {
        const changes = await readBatch(services.db, scope.run, input.batch);
        const toSend = changes.filter(
          (change) => change.state === 'planned' || change.attempts === 0 || change.operation !== null,
        );
        const { attempts, wait } = await sendAll(services, scope, toSend, input.batch);
        return {
          retry: wait === undefined ? await readOffersToRetry(services.db, scope.run, input.batch) : [],
          settled: attempts.filter((attempt) => attempt.kind === 'settled').length,
          wait,
        };
      }),
    );
  };
}

async function sendAll(
  services: ActivityServices,
  scope: RunScope,
  changes: readonly OfferChange[],
  batch: number,
): Promise<{ attempts: Attempt[]; wait?: PermitWait }> {
  const limit = pLimit(SENDS_AT_ONCE);
  let unknown = 0;
  let clear = 0;
  let stopped: Error | null = null as Error | null;
  const attempts = await Promise.all(
    changes.map((change) =>
      limit(async (): Promise<Attempt | null> => {
        if (stopped !== null || scope.call.signal?.aborted === true) return null;
        try {
          const attempt = await sendChange(services, scope, change);
          if (attempt.kind === 'again' && attempt.error.type === 'OutcomeUnknown') unknown += 1;
          else clear += 1;
          if (clear === 0 && unknown >= OUTAGE_AFTER) {
            stopped = new SyncError('MarketplaceUnavailable', `${unknown} writes in a row without an answer`);
          }
          return attempt;
        } catch (error) {
          stopped = error instanceof Error ? error : new Error('a send failed without an error');
          return null;
        }
      }),
    ),
  );
  if (stopped instanceof SyncError && stopped.type === 'MarketplaceUnavailable') {
    await forgetAttempts(services.db, scope.run, batch);
  }
  const wait = toPermitWait(stopped);
  if (wait !== undefined) return { attempts: attempts.flatMap((attempt) => attempt ?? []), wait };
  if (stopped !== null) throw stopped;
  scope.call.signal?.throwIfAborted();
  const polled = await pollAll(services, scope, changes, attempts);
  return { attempts: attempts.flatMap((attempt, index) => polled.get(index) ?? attempt ?? []) };
}

/** Asks for the writes that were answered `accepted` until they have ended or the time is up. */
async function pollAll(
  services: ActivityServices,
  scope: RunScope,
  changes: readonly OfferChange[],
  attempts: readonly (Attempt | null)[],
): Promise<Map<number, Attempt>> {
  const limit = pLimit(SENDS_AT_ONCE);
  const results = new Map<number, Attempt>();
  const deadline = Date.now() + POLL_FOR_MS;
  const poll = async (index: number, change: OfferChange, first: Attempt): Promise<void> => {
    let attempt = first;
    while (attempt.kind === 'accepted') {
      const pauseMs = Math.max(attempt.pollInMs, SHORTEST_POLL_PAUSE_MS);
      // Whoever is to wait longer is asked for by the next attempt: the operation is stored.
      if (Date.now() + pauseMs > deadline) break;
      await pause(pauseMs, scope.call.signal);
      const accepted = attempt;
      attempt = await limit(() => pollOperation(services, scope, change, accepted));
    }
    results.set(index, attempt);
  };
  await Promise.all(
    changes.map((change, index) => {
      const attempt = attempts[index];
      return attempt?.kind === 'accepted' ? poll(index, change, attempt) : Promise.resolve();
    }),
  );
  return results;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error('stopped'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

export interface UpdateOfferStockInput {
  readonly runId: RunId;
  readonly offerId: OfferId;
  readonly priority: Call['priority'];
  /** Attempts in all, the batch's included: counted on the row, so that a lost worker uses none up. */
  readonly maxAttempts: number;
}

/** One more attempt for one offer. Throws for the declared retry policy to decide; the last one is not retryable. */
export function createUpdateOfferStock(services: ActivityServices) {
  return function updateOfferStock(input: UpdateOfferStockInput): Promise<void> {
    return withHeartbeat((signal) =>
      inRun(services, { ...input, signal }, async (scope) => {
        const change = await readChange(services.db, scope.run, input.offerId);
        if (change === null || (change.state !== 'planned' && change.state !== 'sending')) return;
        const first = await sendChange(services, scope, change);
        const attempt = (await pollAll(services, scope, [change], [first])).get(0) ?? first;
        if (attempt.kind === 'again') throw toRetry(attempt.error, change.attempts + 1, input.maxAttempts);
        if (attempt.kind === 'accepted') {
          throw toRetry(
            new SyncError('OutcomeUnknown', 'accepted, but not carried out yet'),
            change.attempts,
            input.maxAttempts,
          );
        }
      }),
    );
  };
}

function toRetry(error: SyncError, attempts: number, maxAttempts: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: error.type,
    message: `attempt ${attempts} of ${maxAttempts}: ${error.message}`,
    nonRetryable: attempts >= maxAttempts,
    details: [{ ...error.facts }],
  });
}

export interface RejectOfferInput {
  readonly runId: RunId;
  readonly offerId: OfferId;
  readonly errorClass: string;
  readonly message: string;
}

/**
 * Records that an offer's declared attempts are used up. One that has to go to 0 and cannot be set is ended by a command
 * before that is final.
 */
export function createRejectOffer(services: ActivityServices) {
  return async function rejectOffer(input: RejectOfferInput): Promise<void> {
    await inRun(services, { ...input, priority: 'scheduled' }, async ({ run }) => {
      const { offerId, errorClass } = input;
      const change = await readChange(services.db, run, offerId);
      // Sent back already, by a worker that was not heard of since.
      if (change?.route === 'end_command' && change.state === 'planned') return;
      const isAnswer = isSyncErrorType(errorClass) && RETRYABLE_FOR_ONE_OFFER.includes(errorClass);
      const hasAnotherWay = change?.kind === 'end' && change.target === 0 && change.route !== 'end_command';
      if (isAnswer && hasAnotherWay)
        await returnToPlan(services.db, run.runId, [{ offerId, target: 0, route: 'end_command', mark: change.mark }]);
      else await rejectChange(services.db, run, offerId, input);
    });
  };
}
