import type { Command } from 'commander';
import { NotificationError } from '../notifications/notifier.js';
import { addCommand, addGroup, type RunCommand } from './command.js';
import { CommandFailed } from './failures.js';
import { nothing } from './inputs.js';

export const ALERTS_TO_LOG =
  'no chat is configured (ALLEGRO_ERROR_NOTIFICATION_CHAT_ID or ALERT_WEBHOOK_URL): alerts go to the log of the worker only';

export function registerAlerts(program: Command, runCommand: RunCommand): void {
  const group = addGroup(program, { name: 'alerts', summary: 'messages to a person', example: 'alerts test' });
  addCommand(group, runCommand, {
    usage: 'test',
    summary: 'send a test message to where alerts go',
    examples: ['alerts test'],
    input: nothing,
    needs: ['notifications'],
    run: async (_input, { services, output }) => {
      const notifier = services.notifier();
      if (notifier === null) throw new CommandFailed(ALERTS_TO_LOG);
      try {
        await notifier.send({ kind: 'test', at: new Date().toISOString() });
      } catch (error) {
        if (!(error instanceof NotificationError)) throw error;
        throw new CommandFailed(`${notifier.destination} did not take the message: ${error.message}`);
      }
      output.print(`A test message was sent to ${notifier.destination}.`);
      output.json({ destination: notifier.destination, isSent: true });
      return 0;
    },
  });
}
