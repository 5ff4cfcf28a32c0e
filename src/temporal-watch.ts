import { tellOver, tellProblem } from './notifications/tell.js';
import type { ScheduleState } from './schedule.js';
import type { Db } from './storage/database.js';
import { isIncidentOpen } from './storage/incidents.js';
import { readScheduleTicks, storeScheduleTicks } from './storage/schedule-ticks.js';

/** What Temporal tells of itself; each is asked anew at every look. */
export interface TemporalFacts {
  /** null: there is no Schedule. Runs may be started by hand only: silence has an incident of its own. */
  readonly schedule: Pick<
    ScheduleState,
    'madeAt' | 'isPaused' | 'note' | 'runsStarted' | 'ticksSkipped' | 'ticksMissed'
  > | null;
  /** Task queues that nobody polls. */
  readonly unpolledQueues: readonly string[];
}

export const SCHEDULE_PAUSED = 'SchedulePaused';
export const SCHEDULE_SKIPS = 'ScheduleSkips';
export const NO_WORKER_POLLS = 'NoWorkerPolls';

/** What one process remembers between two looks. */
export interface TemporalWatch {
  /** Looks at what Temporal tells, and tells a person what begins and what is over. */
  look(facts: TemporalFacts): Promise<void>;
}

/**
 * Makes incidents of a Schedule that is paused or loses ticks, and of task queues that nobody polls. Any number of
 * processes may do so: incidents are one per problem, and a look is no repetition of one that is open.
 */
export function createTemporalWatch(db: Db): TemporalWatch {
  let wasUnpolled = false;

  async function begin(problem: { class: string; title: string; details: string; action: string }): Promise<void> {
    if (await isIncidentOpen(db, problem.class)) return;
    await db.transaction().execute((trx) => tellProblem(trx, { account: null, ...problem }));
  }

  async function over(problemClass: string): Promise<void> {
    await db
      .transaction()
      .execute((trx) => tellOver(trx, { account: null, filter: { classes: [problemClass], offerIds: null } }));
  }

  async function lookAtPause(schedule: NonNullable<TemporalFacts['schedule']>): Promise<void> {
    if (!schedule.isPaused) return over(SCHEDULE_PAUSED);
    return begin({
      class: SCHEDULE_PAUSED,
      title: 'The Schedule is paused: no sync starts by itself',
      details: schedule.note ?? 'no reason was given',
      action: 'allegro-stock-sync schedule resume',
    });
  }

  /** Lost since anybody looked last, also while no process was there to look. Over when a tick has started its run again. */
  async function lookAtTicks(schedule: NonNullable<TemporalFacts['schedule']>): Promise<void> {
    const lost = schedule.ticksSkipped + schedule.ticksMissed;
    const before = await readScheduleTicks(db);
    const madeAt = new Date(schedule.madeAt);
    const isNew = before === null || before.madeAt?.getTime() !== madeAt.getTime();
    // A worker that was stopped with what it had heard.
    const isOld = !isNew && (lost < before.lost || schedule.runsStarted < before.started);
    if (isOld) return;
    if (!isNew && lost === before.lost) {
      if (schedule.runsStarted > before.started) await over(SCHEDULE_SKIPS);
      return;
    }
    if (!isNew) {
      await begin({
        class: SCHEDULE_SKIPS,
        title: 'Scheduled runs are left out',
        details:
          `${lost - before.lost} ticks of the Schedule started no run: the run before was still at work, or Temporal was ` +
          `away (${schedule.ticksSkipped} and ${schedule.ticksMissed} since the Schedule was made).`,
        action: 'allegro-stock-sync status',
      });
    }
    // Only now: what was not told is lost anew at the next look.
    await storeScheduleTicks(db, { lost, started: schedule.runsStarted, madeAt });
  }

  /** Told at the second look in a row: a worker that has just started is not listed yet. */
  async function lookAtPollers(unpolledQueues: readonly string[]): Promise<void> {
    const isUnpolled = unpolledQueues.length > 0;
    if (!isUnpolled) await over(NO_WORKER_POLLS);
    else if (wasUnpolled) {
      await begin({
        class: NO_WORKER_POLLS,
        title: 'No worker polls for work',
        details: `Nobody has polled these in the last minute: ${unpolledQueues.join(', ')}. Runs wait until somebody does.`,
        action: 'Restart the workers; look at their log for why they stopped.',
      });
    }
    wasUnpolled = isUnpolled;
  }

  return {
    async look({ schedule, unpolledQueues }) {
      await lookAtPollers(unpolledQueues);
      if (schedule === null) {
        await over(SCHEDULE_PAUSED);
        return over(SCHEDULE_SKIPS);
      }
      await lookAtPause(schedule);
      await lookAtTicks(schedule);
    },
  };
}
