import type { Command } from 'commander';
import { z } from 'zod';
import { readStopSwitch, setStopSwitch } from '../storage/stop-switch.js';
import { addCommand, type RunCommand } from './command.js';
import { nothing, reason } from './inputs.js';

export function registerStopSwitch(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'stop',
    summary: 'stop all writes to Allegro, in all accounts, within 5 s; stays until "start"',
    details: 'Runs at work end as "stopped"; further ones do nothing. Reading and the local stock are not concerned.',
    options: [{ flags: '--reason <text>', description: 'shown by "status"' }],
    examples: ['stop --reason "wrong stock file imported"'],
    input: z.object({ reason: reason.optional() }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const db = await services.database();
      const { wasStopped } = await setStopSwitch(db, { isStopped: true, reason: input.reason ?? null });
      output.print(
        wasStopped
          ? 'Writes were stopped already; the reason is replaced.'
          : 'All writes are stopped within 5 seconds. To let them go on: allegro-stock-sync start',
      );
      output.json(await readStopSwitch(db));
      return 0;
    },
  });
  addCommand(program, runCommand, {
    usage: 'start',
    summary: 'let writes go on after "stop"',
    examples: ['start'],
    input: nothing,
    needs: ['database'],
    run: async (_input, { services, output }) => {
      const db = await services.database();
      const { wasStopped } = await setStopSwitch(db, { isStopped: false, reason: null });
      output.print(
        wasStopped ? 'Writes go on with the next run; to run now: allegro-stock-sync sync' : 'Writes were not stopped.',
      );
      output.json(await readStopSwitch(db));
      return 0;
    },
  });
}
