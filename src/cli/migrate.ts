import type { Command } from 'commander';
import { z } from 'zod';
import { grantToRole } from '../storage/grants.js';
import { migrateToLatest } from '../storage/migrate.js';
import { addCommand, type RunCommand } from './command.js';
import { placeOf } from './connections.js';
import { CommandFailed, messageOf } from './failures.js';

/** NAMEDATALEN − 1 bytes: PostgreSQL cuts longer names off. */
const LONGEST_ROLE_BYTES = 63;

export function registerMigrate(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'migrate',
    summary: 'bring the database to the schema of this version; does nothing when it is there already',
    details:
      'DATABASE_URL names the owner of the tables here. With --grant-to, an existing role gets what workers and the other\n' +
      'commands need, and no right to create, alter or drop tables: name it in their DATABASE_URL.',
    options: [{ flags: '--grant-to <role>', description: 'the role with which workers and other commands connect' }],
    examples: ['migrate', 'migrate --grant-to allegro_stock_sync_worker'],
    input: z.object({
      grantTo: z
        .string()
        .refine((name) => name !== '' && Buffer.byteLength(name) <= LONGEST_ROLE_BYTES, {
          error: `expected the name of a role, of at most ${LONGEST_ROLE_BYTES} bytes`,
        })
        .optional(),
    }),
    needs: ['database'],
    run: async ({ grantTo }, { services, output }) => {
      const { url } = services.config('database');
      try {
        await migrateToLatest(url);
      } catch (error) {
        throw new CommandFailed(`the database at ${placeOf(url)} cannot be migrated: ${messageOf(error)}`);
      }
      output.print(`The database at ${placeOf(url)} is up to date.`);
      if (grantTo !== undefined) {
        await grant(url, grantTo);
        output.print(`The role "${grantTo}" may read and write its rows, and cannot change tables.`);
      }
      output.json({
        database: placeOf(url),
        isUpToDate: true,
        ...(grantTo === undefined ? {} : { grantedTo: grantTo }),
      });
      return 0;
    },
  });
}

async function grant(url: string, role: string): Promise<void> {
  try {
    await grantToRole(url, role);
  } catch (error) {
    throw new CommandFailed(`nothing was granted in the database at ${placeOf(url)}: ${messageOf(error)}`);
  }
}
