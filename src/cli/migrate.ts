import type { Command } from 'commander';
import { migrateToLatest } from '../storage/migrate.js';
import { addCommand, type RunCommand } from './command.js';
import { CommandFailed, messageOf } from './failures.js';
import { nothing } from './inputs.js';
import { placeOf } from './connections.js';

export function registerMigrate(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'migrate',
    summary: 'bring the database to the schema of this version; does nothing when it is there already',
    examples: ['migrate'],
    input: nothing,
    needs: ['database'],
    run: async (_input, { services, output }) => {
      const { url } = services.config('database');
      try {
        await migrateToLatest(url);
      } catch (error) {
        throw new CommandFailed(`the database at ${placeOf(url)} cannot be migrated: ${messageOf(error)}`);
      }
      output.print(`The database at ${placeOf(url)} is up to date.`);
      output.json({ database: placeOf(url), isUpToDate: true });
      return 0;
    },
  });
}
