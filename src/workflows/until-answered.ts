import { ActivityFailure, ApplicationFailure, sleep, TimeoutFailure } from '@temporalio/workflow';
import type { PermitWait } from '../activities/permit-wait.js';
import { NOBODYS_ANSWER, type ErrorFacts } from '../domain/errors.js';
import type { RunFailure } from './api.js';

/**
 * Pauses between two tries while a part is away: from the first to the longest, doubling. A lost worker begins anew: it
 * was waited for already, and another one can go on at once.
 */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;

export interface Patience {
  /** Epoch ms after which waiting ends with `DeadlineExceeded`. */
  readonly deadline: number;
  /** Told when a wait for a permit begins (epoch ms of its end) and ends (null). */
  readonly onWait?: (until: number | null) => void;
}

/**
 * Runs an activity until it has an answer of its own. A lost worker, a part that is away and a full quota are nobody's
 * answer: they are waited for here, durably, and use up no declared attempt.
 */
export async function untilAnswered<Result>(patience: Patience, activity: () => Promise<Result>): Promise<Result> {
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    if (Date.now() > patience.deadline) throw deadlineExceeded('nothing more is asked for');
    try {
      return await activity();
    } catch (error) {
      if (isWorkerLost(error)) pauseMs = FIRST_PAUSE_MS;
      const wait = waitAfter(error, pauseMs);
      if (wait === null) throw error;
      await (wait.isForPermit ? waitForPermit : sleepWithin)(patience, wait.ms, wait.why);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** A durable sleep that shows what it waits for and never outlasts the deadline. */
export async function sleepWithin(patience: Patience, ms: number, summary: string): Promise<void> {
  const until = Date.now() + ms;
  if (until > patience.deadline) throw deadlineExceeded(summary);
  await sleep(ms, { summary });
}

/** The same, told as a wait for a permit. */
export async function waitForPermit(patience: Patience, ms: number, summary: string): Promise<void> {
  patience.onWait?.(Date.now() + ms);
  await sleepWithin(patience, ms, summary);
  patience.onWait?.(null);
}

/** The durable sleep for an activity that had done what it could without a permit. */
export async function waitAsTold(patience: Patience, { ms, why }: PermitWait): Promise<void> {
  await waitForPermit(patience, Math.max(FIRST_PAUSE_MS, ms), `waiting for a permit: ${why}`);
}

function deadlineExceeded(at: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`the deadline of the run is over (${at})`, 'DeadlineExceeded');
}

function isWorkerLost(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
}

function waitAfter(error: unknown, pauseMs: number): { ms: number; why: string; isForPermit: boolean } | null {
  if (!(error instanceof ActivityFailure)) return null;
  const { cause, activityType } = error;
  if (cause instanceof TimeoutFailure) {
    return { ms: pauseMs, why: `${activityType}: worker lost, trying again`, isForPermit: false };
  }
  if (!(cause instanceof ApplicationFailure) || !NOBODYS_ANSWER.some((type) => type === cause.type)) return null;
  if (cause.type !== 'RateLimited') {
    return { ms: pauseMs, why: `${activityType}: ${cause.message}`, isForPermit: false };
  }
  const ms = Math.max(FIRST_PAUSE_MS, retryInMs(cause));
  return { ms, why: `waiting for a permit: ${cause.message}`, isForPermit: true };
}

function retryInMs(failure: ApplicationFailure): number {
  const retryInMs = factOf(failure, 'retryInMs');
  return typeof retryInMs === 'number' ? retryInMs : 0;
}

function factOf(failure: ApplicationFailure, name: keyof ErrorFacts): unknown {
  const facts: unknown = failure.details?.[0];
  return typeof facts === 'object' && facts !== null ? new Map(Object.entries(facts)).get(name) : undefined;
}

/** What ended an activity, as a person is to read it. */
export function failureOf(error: unknown): RunFailure {
  if (error instanceof ActivityFailure && error.cause !== undefined) return failureOf(error.cause);
  if (error instanceof ApplicationFailure) {
    const whatToDo = factOf(error, 'whatToDo');
    return {
      class: error.type ?? 'InternalError',
      message: error.message,
      ...(typeof whatToDo === 'string' ? { whatToDo } : {}),
    };
  }
  if (error instanceof TimeoutFailure) return { class: 'DependencyUnavailable', message: error.message };
  return { class: 'InternalError', message: error instanceof Error ? error.message : 'unknown' };
}
