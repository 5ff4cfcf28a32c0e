import { randomUUID } from 'node:crypto';
import { CHANGE_KINDS, type ChangeKind } from '../domain/decision.js';
import { toOfferId, type AccountId, type OfferId, type RunId } from '../domain/ids.js';
import { chooseRoutes, type RoutePlan, type RouteQuestion } from '../domain/write-routes.js';
import { commandContent, type Command } from './commands.js';
import type { Db } from './database.js';

/**
 * Requests. A command is sent once, its report is asked for until it is complete (at 2, 6 and 14 s; Allegro's examples
 * took 1 to 8 s), then its tasks: at most 5. A single write confirms itself.
 */
const COSTS: RouteQuestion['costs'] = { single: 1, command: 5, bulk: 5 };
const MAX_OFFERS_PER_COMMAND = 1000;
/** Few repeats after a crash, little history: measured best between 25 and 50. */
const MAX_OFFERS_PER_BATCH = 50;

/** The writes of one kind, as references: the rows stay in the database. */
export interface WritePhase {
  readonly kind: ChangeKind;
  readonly batches: readonly number[];
  readonly commandIds: readonly string[];
}

export interface WriteOptions {
  /** Offers that the seller's quotas leave for each route within the hour. */
  readonly room?: RouteQuestion['room'];
  /** Offers in a command with a number for each; 0: there are no such commands. */
  readonly maxBulkChanges?: number;
  /** Also what was marked as sending and has no end yet: after a reset nobody else is at it. */
  readonly withSending?: boolean;
}

const UNBOUNDED: RouteQuestion['room'] = { single: Infinity, command: Infinity, bulk: Infinity };

interface PlannedRow {
  readonly offerId: OfferId;
  readonly kind: ChangeKind;
  readonly target: number;
  readonly route: 'patch' | 'command' | 'bulk' | 'end_command';
  /** Of an attempt before; null: none, or it was not answered. */
  readonly errorClass: string | null;
}

interface PlannedCommand {
  readonly kind: Command['kind'];
  readonly offers: readonly PlannedRow[];
}

/**
 * Gives every planned change of the run its way out: a command for many offers of one value, or for some with a value
 * each, else a batch of single requests. Changes that have their way already keep it; called again it plans only what was
 * sent back. Most dangerous first.
 */
export async function planWrites(
  db: Db,
  run: { runId: RunId; accountId: AccountId },
  options: WriteOptions = {},
): Promise<WritePhase[]> {
  return db.transaction().execute(async (trx) => {
    await trx.selectFrom('syncRuns').select('id').where('id', '=', run.runId).forUpdate().execute();
    const rows: PlannedRow[] = (
      await trx
        .selectFrom('offerChanges')
        .select(['offerId', 'kind', 'target', 'route', 'errorClass'])
        .where('runId', '=', run.runId)
        .where('state', '=', 'planned')
        .where('batch', 'is', null)
        .where('commandId', 'is', null)
        .orderBy('offerId')
        .execute()
    ).map((row) => ({ ...row, offerId: toOfferId(row.offerId) }));
    const last = await trx
      .selectFrom('offerChanges')
      .select(({ fn }) => fn.max('batch').as('batch'))
      .where('runId', '=', run.runId)
      .executeTakeFirst();
    let nextBatch = (last?.batch ?? 0) + 1;
    for (const { kind, commands, singles } of divide(rows, options)) {
      for (const command of commands) await addCommand(trx, run, kind, command);
      for (const chunk of chunks(singles, MAX_OFFERS_PER_BATCH)) {
        await trx
          .updateTable('offerChanges')
          .set({ batch: nextBatch, route: 'patch' })
          .where('runId', '=', run.runId)
          .where(
            'offerId',
            'in',
            chunk.map(({ offerId }) => offerId),
          )
          .execute();
        nextBatch += 1;
      }
    }
    return readPhases(trx, run.runId, options.withSending === true);
  });
}

interface DividedKind {
  readonly kind: ChangeKind;
  readonly commands: readonly PlannedCommand[];
  readonly singles: readonly PlannedRow[];
}

/** Which rows of each kind share a command and which go alone, within what the quotas leave. */
function divide(rows: readonly PlannedRow[], { room = UNBOUNDED, maxBulkChanges = 0 }: WriteOptions): DividedKind[] {
  const left = { ...room };
  // What has one way only takes its part first, of whichever kind it is.
  left.single -= rows.filter((row) => wayOf(row) === 'single').length;
  left.command -= rows.filter((row) => wayOf(row) === 'command').length;
  return CHANGE_KINDS.map((kind) => {
    const ofKind = rows.filter((row) => row.kind === kind);
    const free = chooseRoutes(
      ofKind.filter((row) => wayOf(row) === 'any'),
      { costs: COSTS, most: { command: MAX_OFFERS_PER_COMMAND, bulk: maxBulkChanges }, room: left },
    );
    left.single -= free.singles.length;
    left.command -= countOffers(free.commands);
    left.bulk -= countOffers(free.bulks);
    const asked = divideAsked(ofKind.filter((row) => wayOf(row) === 'command'));
    return {
      kind,
      commands: [...asked, ...toCommands(free)],
      singles: [...ofKind.filter((row) => wayOf(row) === 'single'), ...free.singles],
    };
  });
}

/** Commands cannot carry 0 and do not reactivate. */
function wayOf(row: PlannedRow): 'single' | 'command' | 'any' {
  if (row.route === 'command' || row.route === 'end_command') return 'command';
  const isOneNumber = (row.kind === 'lower' || row.kind === 'raise') && row.target > 0;
  // What has become 0 since it was planned is an ending: looked at, weighed by the guard, and sent alone.
  // What a command was refused for is asked one by one, so that one bad offer does not stop the others.
  return isOneNumber && row.errorClass === null ? 'any' : 'single';
}

/** Commands that single requests have left as the only way, however few the offers. */
function divideAsked(rows: readonly PlannedRow[]): PlannedCommand[] {
  const byTarget = new Map<number, PlannedRow[]>();
  for (const row of rows) byTarget.set(row.target, [...(byTarget.get(row.target) ?? []), row]);
  return [...byTarget].flatMap(([target, group]) =>
    chunks(group, MAX_OFFERS_PER_COMMAND).map((offers) => ({
      kind: target === 0 ? ('end' as const) : ('quantity' as const),
      offers,
    })),
  );
}

function toCommands({ commands, bulks }: RoutePlan<PlannedRow>): PlannedCommand[] {
  return [
    ...commands.map((offers) => ({ kind: 'quantity' as const, offers })),
    ...bulks.map((offers) => ({ kind: 'bulk' as const, offers })),
  ];
}

function countOffers(commands: readonly (readonly PlannedRow[])[]): number {
  return commands.reduce((sum, offers) => sum + offers.length, 0);
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

const ROUTE_OF = { quantity: 'command', bulk: 'bulk', end: 'end_command' } as const;

async function addCommand(
  trx: Db,
  run: { runId: RunId; accountId: AccountId },
  kind: ChangeKind,
  command: PlannedCommand,
): Promise<void> {
  const id = randomUUID();
  await trx
    .insertInto('commands')
    .values({
      id,
      accountId: run.accountId,
      runId: run.runId,
      kind: command.kind,
      ...commandContent(command.kind, command.offers),
      priority: CHANGE_KINDS.indexOf(kind),
    })
    .execute();
  await trx
    .updateTable('offerChanges')
    .set({ commandId: id, route: ROUTE_OF[command.kind] })
    .where('runId', '=', run.runId)
    .where(
      'offerId',
      'in',
      command.offers.map(({ offerId }) => offerId),
    )
    .execute();
}

async function readPhases(trx: Db, runId: RunId, withSending: boolean): Promise<WritePhase[]> {
  const batches = await trx
    .selectFrom('offerChanges')
    .select(['kind', 'batch'])
    .distinct()
    .where('runId', '=', runId)
    .where('state', 'in', withSending ? ['planned', 'sending'] : ['planned'])
    .where('batch', 'is not', null)
    .orderBy('batch')
    .execute();
  const commands = await trx
    .selectFrom('commands')
    .select(['id', 'priority'])
    .where('runId', '=', runId)
    .where((where) => {
      const isPlanned = where('state', '=', 'planned');
      if (!withSending) return isPlanned;
      // A complete one has left offers that need another attempt. Whose changes went another way is not sent again.
      const isAwaited = where.exists(
        where
          .selectFrom('offerChanges as c')
          .select('c.offerId')
          .whereRef('c.commandId', '=', 'commands.id')
          .where('c.state', '=', 'sending'),
      );
      return where.or([isPlanned, where.and([where('state', 'in', ['sent', 'accepted', 'complete']), isAwaited])]);
    })
    .orderBy('createdAt')
    .execute();
  return CHANGE_KINDS.map((kind, priority) => ({
    kind,
    batches: batches.flatMap((row) => (row.kind === kind && row.batch !== null ? [row.batch] : [])),
    commandIds: commands.filter((row) => row.priority === priority).map((row) => row.id),
  })).filter((phase) => phase.batches.length + phase.commandIds.length > 0);
}
