import { ScheduleNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import type { Command } from 'commander';
import { z } from 'zod';
import {
  applySchedule,
  deleteSchedule,
  explainMissingSearchAttributes,
  findMissingSearchAttributes,
  pauseSchedule,
  readSchedule,
  resumeSchedule,
  triggerSchedule,
  type ScheduleState,
} from '../schedule.js';
import { SCHEDULE_ID, SYNC_ALL_ACCOUNTS_ID } from '../workflows/api.js';
import { addCommand, addGroup, type CommandContext, type RunCommand } from './command.js';
import { CommandFailed, type ExitStatus } from './failures.js';
import { nothing, reason } from './inputs.js';
import type { TemporalService } from './services.js';

const NO_SCHEDULE = 'there is no Schedule yet. Make it with: allegro-stock-sync schedule apply';

export function registerSchedule(program: Command, runCommand: RunCommand): void {
  const group = addGroup(program, {
    name: 'schedule',
    summary: 'the Temporal Schedule that starts the sync',
    example: 'schedule apply',
  });
  addCommand(group, runCommand, {
    usage: 'apply',
    summary: 'create the Schedule, or bring it to ALLEGRO_SYNC_SCHEDULE; a pause stays',
    examples: ['schedule apply'],
    input: nothing,
    needs: ['temporal', 'sync'],
    run: async (_input, context) => apply(context),
  });
  addCommand(group, runCommand, {
    usage: 'describe',
    summary: 'show interval, next and last runs, and ticks that were skipped or missed',
    examples: ['schedule describe'],
    input: nothing,
    needs: ['temporal'],
    run: async (_input, { services, output }) => {
      const schedule = await readSchedule((await services.temporal()).client);
      if (schedule === null) throw new CommandFailed(NO_SCHEDULE);
      output.table(['schedule', SCHEDULE_ID], describeSchedule(schedule));
      output.json({ scheduleId: SCHEDULE_ID, ...schedule });
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'pause',
    summary: 'start no further scheduled runs until "schedule resume"; a run at work goes on',
    options: [{ flags: '--reason <text>', description: 'kept with the Schedule, shown in the Web UI' }],
    examples: ['schedule pause --reason "stocktaking"'],
    input: z.object({ reason: reason.default('paused by the command line') }),
    needs: ['temporal'],
    run: async (input, context) =>
      change(context, 'The Schedule is paused.', ({ client }) => pauseSchedule(client, input.reason)),
  });
  addCommand(group, runCommand, {
    usage: 'resume',
    summary: 'let a paused Schedule go on',
    examples: ['schedule resume'],
    input: nothing,
    needs: ['temporal'],
    run: async (_input, context) => change(context, 'The Schedule goes on.', ({ client }) => resumeSchedule(client)),
  });
  addCommand(group, runCommand, {
    usage: 'trigger',
    summary: 'start a scheduled run now; during a run it says so and ends with status 1',
    examples: ['schedule trigger'],
    input: nothing,
    needs: ['temporal'],
    run: async (_input, context) => trigger(context),
  });
  addCommand(group, runCommand, {
    usage: 'delete',
    summary: 'delete the Schedule; a run at work goes on',
    examples: ['schedule delete'],
    input: nothing,
    needs: ['temporal'],
    run: async (_input, { services, output }) => {
      const wasThere = await deleteSchedule((await services.temporal()).client);
      if (!wasThere) throw new CommandFailed('there is no Schedule to delete');
      output.print('The Schedule is deleted. Make it anew with: allegro-stock-sync schedule apply');
      output.json({ scheduleId: SCHEDULE_ID, isDeleted: true });
      return 0;
    },
  });
}

async function apply({ services, output }: CommandContext): Promise<ExitStatus> {
  const { scheduleSeconds } = services.config('sync');
  const temporal = await services.temporal();
  const missing = await findMissingSearchAttributes(temporal.connection, temporal.namespace);
  if (missing.length > 0) throw new CommandFailed(explainMissingSearchAttributes(missing, temporal));
  const done = await applySchedule(temporal.client, scheduleSeconds);
  const schedule = await readSchedule(temporal.client);
  output.print(`The Schedule is ${done}: a sync every ${scheduleSeconds} s, and housekeeping once a day.`);
  if (schedule?.isPaused === true) {
    output.print('It is paused; let it go on with: allegro-stock-sync schedule resume');
  }
  output.json({ scheduleId: SCHEDULE_ID, done, ...schedule });
  return 0;
}

async function change(
  { services, output }: CommandContext,
  said: string,
  work: (temporal: TemporalService) => Promise<void>,
): Promise<ExitStatus> {
  const temporal = await services.temporal();
  await orMissing(work(temporal));
  output.print(said);
  output.json({ scheduleId: SCHEDULE_ID, ...(await readSchedule(temporal.client)) });
  return 0;
}

async function trigger({ services, output }: CommandContext): Promise<ExitStatus> {
  const { client } = await services.temporal();
  const before = await readSchedule(client);
  if (before === null) throw new CommandFailed(NO_SCHEDULE);
  const running = await runningOf(client, before.running);
  if (running.length > 0) {
    throw new CommandFailed(
      `a scheduled run is at work (${running.join(', ')}), and the Schedule skips runs that would overlap. Wait for it, or run: allegro-stock-sync sync`,
    );
  }
  if ((await runningOf(client, [SYNC_ALL_ACCOUNTS_ID])).length > 0) {
    throw new CommandFailed(
      `a run over all accounts is at work (${SYNC_ALL_ACCOUNTS_ID}, started by hand): the scheduled one would find them busy. Wait for it, or run: allegro-stock-sync sync`,
    );
  }
  await orMissing(triggerSchedule(client));
  output.print('A scheduled run is started. Watch it with: allegro-stock-sync status');
  output.json({ scheduleId: SCHEDULE_ID, isTriggered: true });
  return 0;
}

/** The Schedule learns of the end of a run a moment late, so each is asked itself. */
async function runningOf(client: TemporalService['client'], workflowIds: readonly string[]): Promise<string[]> {
  const states = await Promise.all(
    workflowIds.map(async (workflowId) => ((await isRunning(client, workflowId)) ? [workflowId] : [])),
  );
  return states.flat();
}

async function isRunning(client: TemporalService['client'], workflowId: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

async function orMissing(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) throw new CommandFailed(NO_SCHEDULE);
    throw error;
  }
}

/** The rows that show a Schedule. */
export function describeSchedule(schedule: ScheduleState): string[][] {
  const paused = schedule.isPaused ? `paused${schedule.note === null ? '' : `: ${schedule.note}`}` : 'active';
  return [
    ['state', paused],
    ['every', schedule.intervalSeconds === null ? 'unknown' : `${schedule.intervalSeconds} s`],
    ['next runs', schedule.nextRuns.join(', ') || 'none'],
    ['at work now', schedule.running.join(', ') || 'nothing'],
    [
      'last runs',
      schedule.recentRuns
        .slice(-3)
        .map(({ workflowId }) => workflowId)
        .join(', ') || 'none',
    ],
    ['runs started', String(schedule.runsStarted)],
    ['ticks skipped (a run was still at work)', String(schedule.ticksSkipped)],
    ['ticks missed (the server was away)', String(schedule.ticksMissed)],
  ];
}
