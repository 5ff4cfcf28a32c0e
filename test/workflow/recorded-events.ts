import type { WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';

/** A history, read as what was asked of activities and timers. Event numbers give the order. */

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];
type Metadata = HistoryEvent['userMetadata'];

export interface RecordedActivity {
  readonly type: string;
  readonly taskQueue: string;
  readonly input: unknown;
  readonly summary: string | null;
  readonly startToCloseMs: number;
  /** 0: none. */
  readonly heartbeatMs: number;
  readonly retry: {
    readonly initialMs: number;
    readonly coefficient: number;
    readonly maximumMs: number;
    readonly attempts: number;
    readonly nonRetryable: readonly string[];
  };
  /** Attempts made, once it has ended. */
  attempts: number;
  end: 'open' | 'completed' | 'failed' | 'timed_out' | 'canceled';
  /** Class of the failure, or kind of the time-out. */
  failure: string | null;
  readonly scheduledAt: number;
  endedAt: number;
}

export interface RecordedTimer {
  readonly ms: number;
  readonly summary: string | null;
  readonly startedAt: number;
  firedAt: number;
}

const TIMEOUT_TYPES = ['UNSPECIFIED', 'START_TO_CLOSE', 'SCHEDULE_TO_START', 'SCHEDULE_TO_CLOSE', 'HEARTBEAT'];
const NEVER = Number.POSITIVE_INFINITY;

export async function readActivities(
  handle: { fetchHistory(): Promise<History> },
  type?: string,
): Promise<RecordedActivity[]> {
  const activities = new Map<number, RecordedActivity>();
  for (const event of (await handle.fetchHistory()).events ?? []) readActivityEvent(event, activities);
  return [...activities.values()].filter((activity) => type === undefined || activity.type === type);
}

function readActivityEvent(event: HistoryEvent, activities: Map<number, RecordedActivity>): void {
  const scheduled = event.activityTaskScheduledEventAttributes;
  if (scheduled != null) {
    const retry = scheduled.retryPolicy;
    activities.set(Number(event.eventId), {
      type: scheduled.activityType?.name ?? '',
      taskQueue: scheduled.taskQueue?.name ?? '',
      input: scheduled.input?.payloads?.map((payload) => defaultPayloadConverter.fromPayload(payload))[0],
      summary: readSummary(event.userMetadata),
      startToCloseMs: optionalTsToMs(scheduled.startToCloseTimeout) ?? 0,
      heartbeatMs: optionalTsToMs(scheduled.heartbeatTimeout) ?? 0,
      retry: {
        initialMs: optionalTsToMs(retry?.initialInterval) ?? 0,
        coefficient: retry?.backoffCoefficient ?? 0,
        maximumMs: optionalTsToMs(retry?.maximumInterval) ?? 0,
        attempts: retry?.maximumAttempts ?? 0,
        nonRetryable: retry?.nonRetryableErrorTypes ?? [],
      },
      attempts: 0,
      end: 'open',
      failure: null,
      scheduledAt: Number(event.eventId),
      endedAt: NEVER,
    });
    return;
  }
  const started = event.activityTaskStartedEventAttributes;
  const begun = activities.get(Number(started?.scheduledEventId));
  if (begun !== undefined) begun.attempts = started?.attempt ?? 0;
  const ending = readEnding(event);
  const activity = activities.get(ending?.scheduledAt ?? NEVER);
  if (ending === null || activity === undefined) return;
  activity.end = ending.end;
  activity.failure = ending.failure;
  activity.endedAt = Number(event.eventId);
}

function readEnding(event: HistoryEvent): Pick<RecordedActivity, 'end' | 'failure' | 'scheduledAt'> | null {
  const {
    activityTaskCompletedEventAttributes: completed,
    activityTaskFailedEventAttributes: failed,
    activityTaskTimedOutEventAttributes: timedOut,
    activityTaskCanceledEventAttributes: canceled,
  } = event;
  if (completed != null) {
    return { end: 'completed', failure: null, scheduledAt: Number(completed.scheduledEventId) };
  }
  if (failed != null) {
    const failure = failed.failure?.applicationFailureInfo?.type ?? failed.failure?.message ?? '';
    return { end: 'failed', failure, scheduledAt: Number(failed.scheduledEventId) };
  }
  if (timedOut != null) {
    const failure = TIMEOUT_TYPES[timedOut.failure?.timeoutFailureInfo?.timeoutType ?? 0] ?? '';
    return { end: 'timed_out', failure, scheduledAt: Number(timedOut.scheduledEventId) };
  }
  if (canceled != null) return { end: 'canceled', failure: null, scheduledAt: Number(canceled.scheduledEventId) };
  return null;
}

export async function readTimers(handle: { fetchHistory(): Promise<History> }): Promise<RecordedTimer[]> {
  const timers = new Map<number, RecordedTimer>();
  for (const event of (await handle.fetchHistory()).events ?? []) {
    const started = event.timerStartedEventAttributes;
    if (started != null) {
      timers.set(Number(event.eventId), {
        ms: optionalTsToMs(started.startToFireTimeout) ?? 0,
        summary: readSummary(event.userMetadata),
        startedAt: Number(event.eventId),
        firedAt: NEVER,
      });
    }
    const fired = timers.get(Number(event.timerFiredEventAttributes?.startedEventId));
    if (fired !== undefined) fired.firedAt = Number(event.eventId);
  }
  return [...timers.values()];
}

/** A run as a list of activity types, in the order in which they were asked for. */
export async function readOrder(handle: { fetchHistory(): Promise<History> }): Promise<string[]> {
  return (await readActivities(handle)).map(({ type }) => type);
}

function readSummary(metadata: Metadata): string | null {
  const payload = metadata?.summary;
  return payload == null ? null : defaultPayloadConverter.fromPayload<string>(payload);
}
