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
import { markSending, unmarkSending, type Mark, type Marking } from './changes.js';

/** A command for several offers, as it was frozen before its first send. */
export interface Command {
  readonly commandId: CommandId;
  readonly runId: RunId;
  readonly accountId: AccountId;
  /** `quantity`: one number for all. `bulk`: one for each. `end`: ends their publication. */
  readonly kind: 'quantity' | 'bulk' | 'end';
  /** `target`: the number that the offer is to get; 0 for `end`. */
  readonly offers: readonly CommandOffer[];
  /** `sent`: it may have arrived. `accepted`: it has. */
  readonly state: 'planned' | 'sent' | 'accepted' | 'complete' | 'failed' | 'superseded';
  readonly sentAt: Date | null;
}

/** A command whose end is not known. */
export interface OpenCommand extends Command {
  /** false: its changes have all gone another way since; it may still land. */
  readonly isAwaited: boolean;
}

export interface CommandOffer {
  readonly offerId: OfferId;
  readonly target: number;
}

interface CommandRow {
  id: string;
  runId: string;
  kind: Command['kind'];
  quantity: number | null;
  quantities: number[] | null;
  offerIds: string[];
  state: Command['state'];
  sentAt: Date | null;
}

const COLUMNS = ['id', 'runId', 'kind', 'quantity', 'quantities', 'offerIds', 'state', 'sentAt'] as const;

function toCommand(accountId: AccountId, row: CommandRow): Command {
  const { id, runId, kind, state, sentAt, quantity, quantities } = row;
  const offers = row.offerIds.map((offerId, index) => ({
    offerId: toOfferId(offerId),
    target: quantities?.[index] ?? quantity ?? 0,
  }));
  return { commandId: toCommandId(id), runId: toRunId(runId), accountId, kind, offers, state, sentAt };
}

/** The columns that hold the content of a command. */
export function commandContent(kind: Command['kind'], offers: readonly CommandOffer[]) {
  return {
    offerIds: JSON.stringify(offers.map(({ offerId }) => offerId)),
    quantity: kind === 'quantity' ? (offers[0]?.target ?? null) : null,
    quantities: kind === 'bulk' ? JSON.stringify(offers.map(({ target }) => target)) : null,
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
): Promise<OpenCommand[]> {
  const rows = await db
    .selectFrom('commands')
    .select(COLUMNS)
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('offerChanges as c')
            .select('c.offerId')
            .whereRef('c.commandId', '=', 'commands.id')
            .where('c.state', 'in', ['sending', 'unknown']),
        )
        .as('isAwaited'),
    )
    .where('accountId', '=', accountId)
    .where('state', 'in', ['sent', 'accepted'])
    .where((where) => ('thisRun' in of ? where('runId', '=', of.thisRun) : where('runId', '<>', of.otherThan)))
    .orderBy('createdAt')
    .execute();
  return rows.map((row) => ({ ...toCommand(accountId, row), isAwaited: Boolean(row.isAwaited) }));
}

/** Changes of a run whose command has ended without them, in a way that is worth another attempt. */
export async function readOffersLeftByCommands(db: Db, runId: RunId): Promise<OfferId[]> {
  const rows = await db
    .selectFrom('offerChanges as c')
    .innerJoin('commands as m', 'm.id', 'c.commandId')
    .select('c.offerId')
    .where('c.runId', '=', runId)
    .where('c.state', '=', 'sending')
    .where('m.state', '=', 'complete')
    .orderBy('c.offerId')
    .execute();
  return rows.map((row) => toOfferId(row.offerId));
}

/** `mark`: of its change, as it was when that was read. */
export interface MarkedOffer extends CommandOffer {
  readonly mark: Mark | null;
}

/**
 * Freezes the content of a command and marks its changes as sending, as `markSending` does. Frozen again before it is
 * repeated: from then on it is the repeater's to take back, not the first sender's.
 */
export async function freezeCommand(
  db: Db,
  run: { runId: RunId; accountId: AccountId; fence: number },
  command: Pick<Command, 'commandId' | 'kind'> & { readonly offers: readonly MarkedOffer[] },
): Promise<Marking> {
  const { commandId, kind, offers } = command;
  return db.transaction().execute(async (trx) => {
    const sending = { changes: offers, commandId, kind: null, endsByStatus: kind === 'end' };
    const marking = await markSending(trx, run, sending);
    if (marking.kind !== 'marked') return marking;
    await trx
      .updateTable('commands')
      .set({ state: 'sent', ...commandContent(kind, offers), sentAt: sql<Date>`${marking.mark}::timestamptz` })
      .where('id', '=', commandId)
      .execute();
    return marking;
  });
}

/** Takes back what `freezeCommand` did by this mark: the command did not leave, so it may still be changed. */
export async function thawCommand(
  db: Db,
  run: { runId: RunId; accountId: AccountId; fence: number },
  command: Pick<Command, 'commandId' | 'offers'>,
  mark: Mark,
): Promise<void> {
  const offerIds = command.offers.map(({ offerId }) => offerId);
  await db.transaction().execute(async (trx) => {
    if (!(await unmarkSending(trx, run, offerIds, mark))) return;
    await trx
      .updateTable('commands')
      .set({ state: 'planned', sentAt: null })
      .where('id', '=', command.commandId)
      .where('state', '=', 'sent')
      .where('sentAt', '=', sql<Date>`${mark}::timestamptz`)
      .execute();
  });
}

export interface CommandTransition {
  /** What it must be in, so that a worker that was stopped does not undo what another one has learnt. */
  readonly from: readonly Command['state'][];
  readonly to: 'accepted' | 'complete' | 'failed' | 'superseded';
  /** Of the freezing that this concerns; absent: of any. */
  readonly mark?: Mark;
}

/** @returns false: it was not, or is not any more, as it must be */
export async function setCommandState(
  db: Db,
  commandId: CommandId,
  { from, to: state, mark }: CommandTransition,
  failure?: { errorClass: string; message: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('commands')
    .set({
      state,
      ...(failure === undefined ? {} : { errorClass: failure.errorClass, errorMessage: failure.message }),
      ...(state === 'accepted' ? {} : { settledAt: sql<Date>`clock_timestamp()` }),
    })
    .where('id', '=', commandId)
    .where('state', 'in', from)
    .$if(mark !== undefined, (query) => query.where('sentAt', '=', sql<Date>`${mark}::timestamptz`))
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export interface ReturnedChange extends MarkedOffer {
  readonly route: 'patch' | 'command' | 'end_command';
}

/**
 * Sends changes back to be planned anew: without a command, and with the number that the stock asks for now. Only as they
 * were read, like `closeUnsent`.
 */
export async function returnToPlan(db: Db, runId: RunId, changes: readonly ReturnedChange[]): Promise<void> {
  if (changes.length === 0) return;
  const column = <Value>(read: (change: ReturnedChange) => Value): Value[] => changes.map(read);
  await sql`
    update offer_changes c set state = 'planned', command_id = null, batch = null, target = r.target, route = r.route
    from unnest(${column(({ offerId }) => offerId)}::text[], ${column(({ target }) => target)}::integer[],
      ${column(({ route }) => route)}::text[], ${column(({ mark }) => mark)}::text[]) as r (offer_id, target, route, mark)
    where c.run_id = ${runId} and c.offer_id = r.offer_id and c.state in ('planned', 'sending')
      and c.sent_at is not distinct from r.mark::timestamptz`.execute(db);
}

/** Remembers that the marketplace has no commands with a number for each offer, so that not each run asks again. */
export async function postponeBulk(db: Db, accountId: AccountId, hours: number): Promise<void> {
  await db
    .updateTable('accounts')
    .set({ bulkRetryAt: sql<Date>`clock_timestamp() + make_interval(hours => ${hours})` })
    .where('id', '=', accountId)
    .execute();
}

/** Whether commands with a number for each offer may be tried, as far as the marketplace is concerned. */
export async function isBulkThere(db: Db, accountId: AccountId): Promise<boolean> {
  const row = await db
    .selectFrom('accounts')
    .select(sql<boolean>`bulk_retry_at is null or bulk_retry_at <= clock_timestamp()`.as('isThere'))
    .where('id', '=', accountId)
    .executeTakeFirst();
  return row?.isThere ?? false;
}
