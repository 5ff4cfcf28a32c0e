import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import {
  HOUSEKEEPING,
  HOUSEKEEPING_SCHEDULE_ID,
  SCHEDULE_ID,
  SEARCH_ATTRIBUTE_NAMES,
  SYNC_ALL_ACCOUNTS,
  SYNC_ALL_ACCOUNTS_ID,
  SYNC_OUTCOME_KEY,
  SYNC_TRIGGER_KEY,
  TASK_QUEUE,
  type SyncAllAccountsInput,
} from './workflows/api.js';

/** The Schedule that starts a sync of all accounts, and the one that clears away old history once a day. */

type SyncAllAccounts = (input: SyncAllAccountsInput) => Promise<unknown>;
type Housekeeping = () => Promise<unknown>;

/** Temporal refuses a shorter one. */
const SHORTEST_CATCHUP_SECONDS = 10;

function syncAction(intervalSeconds: number): ScheduleOptionsStartWorkflowAction<SyncAllAccounts> {
  return {
    type: 'startWorkflow',
    workflowType: SYNC_ALL_ACCOUNTS,
    workflowId: SYNC_ALL_ACCOUNTS_ID,
    taskQueue: TASK_QUEUE,
    args: [{ trigger: 'schedule', intervalSeconds }],
    // Without a worker a run would wait for ever, and SKIP would skip every tick after it.
    workflowRunTimeout: `${intervalSeconds} seconds`,
    staticSummary: 'Scheduled sync of all active accounts',
    typedSearchAttributes: [
      { key: SYNC_TRIGGER_KEY, value: 'schedule' },
      { key: SYNC_OUTCOME_KEY, value: 'running' },
    ],
  };
}

function syncSchedule(intervalSeconds: number) {
  return {
    spec: { intervals: [{ every: `${intervalSeconds} seconds` as const }] },
    action: syncAction(intervalSeconds),
    policies: {
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: `${Math.max(SHORTEST_CATCHUP_SECONDS, intervalSeconds)} seconds` as const,
    },
  };
}

function housekeepingSchedule() {
  const action: ScheduleOptionsStartWorkflowAction<Housekeeping> = {
    type: 'startWorkflow',
    workflowType: HOUSEKEEPING,
    workflowId: HOUSEKEEPING,
    taskQueue: TASK_QUEUE,
    workflowRunTimeout: '2 hours',
    staticSummary: 'Deletes history older than HISTORY_RETENTION_DAYS',
  };
  return {
    // 03:17 UTC: when shops sell least, and not at a full hour like everything else.
    spec: { calendars: [{ hour: 3, minute: 17 }] },
    action,
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 day' as const },
  };
}

/**
 * Creates the Schedules, or brings them to these settings; a pause stays as it is.
 * @returns what was done with the Schedule of the sync
 */
export async function applySchedule(client: Client, intervalSeconds: number): Promise<'created' | 'updated'> {
  const done = await createOrUpdate(client, SCHEDULE_ID, syncSchedule(intervalSeconds));
  await createOrUpdate(client, HOUSEKEEPING_SCHEDULE_ID, housekeepingSchedule());
  return done;
}

async function createOrUpdate<Run extends SyncAllAccounts | Housekeeping>(
  client: Client,
  scheduleId: string,
  wanted: {
    spec: object;
    action: ScheduleOptionsStartWorkflowAction<Run>;
    policies: { overlap: 'SKIP'; catchupWindow: `${number} seconds` | '1 day' };
  },
): Promise<'created' | 'updated'> {
  try {
    await client.schedule.create({ scheduleId, ...wanted });
    return 'created';
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  await client.schedule
    .getHandle(scheduleId)
    .update<Run>((before) => ({ ...wanted, state: { paused: before.state.paused, ...noteOf(before) } }));
  return 'updated';
}

function noteOf(schedule: ScheduleDescription): { note?: string } {
  return schedule.state.note === undefined ? {} : { note: schedule.state.note };
}

/** The Schedule of the sync as the server has it. */
export interface ScheduleState {
  /** ISO time. */
  readonly madeAt: string;
  readonly intervalSeconds: number | null;
  readonly isPaused: boolean;
  readonly note: string | null;
  /** ISO times. */
  readonly nextRuns: readonly string[];
  /** Scheduled executions of `syncAllAccounts` at work now, by workflow id. */
  readonly running: readonly string[];
  readonly recentRuns: readonly { readonly scheduledAt: string; readonly workflowId: string }[];
  readonly runsStarted: number;
  /** Ticks at which the run before was still at work. */
  readonly ticksSkipped: number;
  /** Ticks that passed while the server was away for longer than the catch-up window. */
  readonly ticksMissed: number;
}

/** null: there is no Schedule; `schedule apply` makes one. */
export async function readSchedule(client: Client): Promise<ScheduleState | null> {
  let schedule: ScheduleDescription;
  try {
    schedule = await client.schedule.getHandle(SCHEDULE_ID).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
  const { info, state, spec } = schedule;
  const everyMs = spec.intervals?.[0]?.every;
  return {
    madeAt: info.createdAt.toISOString(),
    intervalSeconds: everyMs === undefined ? null : everyMs / 1000,
    isPaused: state.paused,
    note: state.note ?? null,
    nextRuns: info.nextActionTimes.slice(0, 3).map((time) => time.toISOString()),
    running: info.runningActions.map((action) => action.workflow.workflowId),
    recentRuns: info.recentActions.map((recent) => ({
      scheduledAt: recent.scheduledAt.toISOString(),
      workflowId: recent.action.workflow.workflowId,
    })),
    runsStarted: info.numActionsTaken,
    ticksSkipped: info.numActionsSkippedOverlap,
    ticksMissed: info.numActionsMissedCatchupWindow,
  };
}

/** @throws ScheduleNotFoundError */
export async function pauseSchedule(client: Client, reason: string): Promise<void> {
  await client.schedule.getHandle(SCHEDULE_ID).pause(reason);
}

/** @throws ScheduleNotFoundError */
export async function resumeSchedule(client: Client): Promise<void> {
  await client.schedule.getHandle(SCHEDULE_ID).unpause('resumed by the command line');
}

/** Starts a run now, as the Schedule would. @throws ScheduleNotFoundError */
export async function triggerSchedule(client: Client): Promise<void> {
  await client.schedule.getHandle(SCHEDULE_ID).trigger(ScheduleOverlapPolicy.SKIP);
}

/** Deletes both Schedules; runs at work go on. @returns false when there was none of the sync */
export async function deleteSchedule(client: Client): Promise<boolean> {
  const wasThere = await deleteIfThere(client, SCHEDULE_ID);
  await deleteIfThere(client, HOUSEKEEPING_SCHEDULE_ID);
  return wasThere;
}

async function deleteIfThere(client: Client, scheduleId: string): Promise<boolean> {
  try {
    await client.schedule.getHandle(scheduleId).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

/** What a connection offers for looking at search attributes: `Connection` and `NativeConnection` have it. */
interface SearchAttributeService {
  readonly operatorService: {
    listSearchAttributes(request: {
      namespace: string;
    }): Promise<{ customAttributes?: Record<string, unknown> | null }>;
  };
}

/** The search attributes that this namespace has not registered; without them no run can be started. */
export async function findMissingSearchAttributes(
  connection: SearchAttributeService,
  namespace: string,
): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return SEARCH_ATTRIBUTE_NAMES.filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
}

/** What is missing, and the command that registers it. */
export function explainMissingSearchAttributes(
  names: readonly string[],
  temporal: { readonly address: string; readonly namespace: string },
): string {
  const attributes = names.map((name) => ` --name ${name} --type Keyword`).join('');
  return `search attributes are not registered in namespace "${temporal.namespace}": ${names.join(', ')}. Run:
  temporal operator search-attribute create --address ${temporal.address} --namespace ${temporal.namespace}${attributes}`;
}
