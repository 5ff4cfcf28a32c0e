import { SyncError } from '../domain/errors.js';
import type { BulkModification } from '../domain/bulk-modification.js';
import type { AccountId } from '../domain/ids.js';
import type { CommandReport } from '../domain/marketplace.js';
import { tellProblem } from '../notifications/tell.js';
import { isBulkThere, type Command } from '../storage/commands.js';
import type { RunScope } from './run-scope.js';
import type { ActivityServices } from './services.js';

/** null: commands with a value for each offer are switched off, or the marketplace has said that it has none. */
export async function usableBulk(
  { db, marketplace, sync }: Pick<ActivityServices, 'db' | 'marketplace' | 'sync'>,
  accountId: AccountId,
): Promise<BulkModification | null> {
  if (!sync.bulkModification || marketplace.bulk === null) return null;
  return (await isBulkThere(db, accountId)) ? marketplace.bulk : null;
}

export async function readReport(
  { marketplace }: ActivityServices,
  { call }: RunScope,
  command: Command,
): Promise<CommandReport> {
  switch (command.kind) {
    case 'quantity':
      return marketplace.readQuantityCommand(call, command.commandId);
    case 'end':
      return marketplace.readEndCommand(call, command.commandId);
    case 'bulk':
      // Asked for also when it was switched off since: what was sent may have arrived.
      if (marketplace.bulk === null) throw new SyncError('InvalidAnswer', 'this marketplace has no bulk commands');
      return marketplace.bulk.read(call, command.commandId);
  }
}

/** A command id that stands for other content cannot happen unless this program is wrong: a person has to know. */
export async function tellForeignCommand(
  { db, logger }: ActivityServices,
  { account, run }: RunScope,
  { commandId }: Command,
  how: string,
): Promise<void> {
  const details = `Command ${commandId} is known to the marketplace with other content (${how}). Nothing was taken for done; its offers are sent one by one.`;
  logger.error(
    {
      event: 'allegro_sync_error',
      accountId: account.accountId,
      runId: run.runId,
      commandId,
      errorClass: 'ProgramFault',
    },
    details,
  );
  await db.transaction().execute((trx) =>
    tellProblem(trx, {
      account: { accountId: account.accountId, accountName: account.name },
      class: 'ProgramFault',
      title: 'A command id was used for two different commands: a fault of this program',
      details,
      action: 'Report it with the id of the command.',
      runId: run.runId,
    }),
  );
}
