import { sql } from 'kysely';
import {
  toCommandId,
  toOfferId,
  toRunId,
  type AccountId,
  type CommandId,
  type OfferId,
  type RunId,
} from '../domain/ids.js';
import type { Db } from './database.js';
import { markSending } from './changes.js';

/** A quantity or publication command, as it was frozen before its first send. */
export interface Command {
  readonly commandId: CommandId;
  readonly runId: RunId;
  readonly accountId: AccountId;
  readonly kind: 'quantity' | 'end';
  /** null for `end`. */
  readonly quantity: number | null;
  readonly offerIds: readonly OfferId[];
  /** `sent`: it may have arrived. `accepted`: it has. */
  readonly state: 'planned' | 'sent' | 'accepted' | 'complete' | 'failed' | 'superseded';
  readonly sentAt: Date | null;
}

interface CommandRow {
  id: string;
  runId: string;
  kind: 'quantity' | 'end';
  quantity: number | null;
  offerIds: string[];
  state: Command['state'];
  sentAt: Date | null;
}

const COLUMNS = ['id', 'runId', 'kind', 'quantity', 'offerIds', 'state', 'sentAt'] as const;

function toCommand(accountId: AccountId, row: CommandRow): Command {
  const { id, runId, ...rest } = row;
  return {
    ...rest,
    commandId: toCommandId(id),
    runId: toRunId(runId),
    accountId,
    offerIds: row.offerIds.map(toOfferId),
  };
}

export async function readCommand(db: Db, accountId: AccountId, commandId: string): Promise<Command | null> {
  const row = await db.selectFrom('commands').select(COLUMNS).where('id', '=', commandId).executeTakeFirst();
  return row === undefined ? null : toCommand(accountId, row);
}

/** Commands of the account that were sent and whose end is not known; of this run or of all others. */
export async function readOpenCommands(
  db: Db,
  accountId: AccountId,
  of: { thisRun: RunId } | { otherThan: RunId },
): Promise<Command[]> {
  const rows = await db
    .selectFrom('commands')
    .select(COLUMNS)
    .where('accountId', '=', accountId)
    .where('state', 'in', ['sent', 'accepted'])
    .where((where) => ('thisRun' in of ? where('runId', '=', of.thisRun) : where('runId', '<>', of.otherThan)))
    .orderBy('createdAt')
    .execute();
  return rows.map((row) => toCommand(accountId, row));
}

/**
 * Freezes the content of a command and marks its changes as sending, if this run still owns the account.
 * @returns false: another run has taken over; nothing may be sent
 */
export async function freezeCommand(
  db: Db,
  run: { runId: RunId; accountId: AccountId; fence: number },
  command: { commandId: CommandId; target: number; offerIds: readonly OfferId[] },
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const isOurs = await markSending(trx, run, { offerIds: command.offerIds, kind: null, target: command.target });
    if (!isOurs) return false;
    await trx
      .updateTable('commands')
      .set({ state: 'sent', offerIds: JSON.stringify(command.offerIds), sentAt: sql<Date>`clock_timestamp()` })
      .where('id', '=', command.commandId)
      .execute();
    return true;
  });
}

export async function setCommandState(
  db: Db,
  commandId: CommandId,
  state: 'accepted' | 'complete' | 'failed' | 'superseded',
  failure?: { errorClass: string; message: string },
): Promise<void> {
  await db
    .updateTable('commands')
    .set({
      state,
      ...(failure === undefined ? {} : { errorClass: failure.errorClass, errorMessage: failure.message }),
      ...(state === 'accepted' ? {} : { settledAt: sql<Date>`clock_timestamp()` }),
    })
    .where('id', '=', commandId)
    .execute();
}

/** Sends changes back to be planned anew: without a command, and with the number that the stock asks for now. */
export async function returnToPlan(
  db: Db,
  runId: RunId,
  changes: readonly { readonly offerId: OfferId; readonly target: number; readonly route: 'patch' | 'command' }[],
): Promise<void> {
  for (const change of changes) {
    await db
      .updateTable('offerChanges')
      .set({ state: 'planned', commandId: null, batch: null, target: change.target, route: change.route })
      .where('runId', '=', runId)
      .where('offerId', '=', change.offerId)
      .where('state', 'in', ['planned', 'sending'])
      .execute();
  }
}
