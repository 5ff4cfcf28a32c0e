import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { CHANGE_KINDS, type ChangeKind } from '../domain/decision.js';
import { toOfferId, type AccountId, type OfferId, type RunId } from '../domain/ids.js';
import type { Db } from './database.js';

/** Offers of one value from which one command is used: a command costs up to 5 requests and settles later. */
const MIN_OFFERS_PER_COMMAND = 10;
const MAX_OFFERS_PER_COMMAND = 1000;
/** Few repeats after a crash, little history: measured best between 25 and 50. */
const MAX_OFFERS_PER_BATCH = 50;

/** The writes of one kind, as references: the rows stay in the database. */
export interface WritePhase {
  readonly kind: ChangeKind;
  readonly batches: readonly number[];
  readonly commandIds: readonly string[];
}

interface PlannedRow {
  readonly offerId: OfferId;
  readonly kind: ChangeKind;
  readonly target: number;
  readonly route: 'patch' | 'command' | 'end_command';
  /** Of an attempt before; null: none, or it was not answered. */
  readonly errorClass: string | null;
}

/**
 * Gives every planned change of the run its way out: a command for many offers of one value, else a batch of single
 * requests. Changes that have their way already keep it; called again it plans only what was sent back. Most
 * dangerous first.
 */
export async function planWrites(db: Db, run: { runId: RunId; accountId: AccountId }): Promise<WritePhase[]> {
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
    for (const kind of CHANGE_KINDS) {
      const { commands, singles } = divide(rows.filter((row) => row.kind === kind));
      for (const command of commands) await addCommand(trx, run, kind, command);
      for (const offerIds of chunks(singles, MAX_OFFERS_PER_BATCH)) {
        await trx
          .updateTable('offerChanges')
          .set({ batch: nextBatch })
          .where('runId', '=', run.runId)
          .where('offerId', 'in', offerIds)
          .execute();
        nextBatch += 1;
      }
    }
    return readPhases(trx, run.runId);
  });
}

interface PlannedCommand {
  readonly kind: 'quantity' | 'end';
  readonly quantity: number | null;
  readonly offerIds: readonly OfferId[];
}

/** Which rows of one kind share a command and which go alone. Commands cannot carry 0 and do not reactivate. */
function divide(rows: readonly PlannedRow[]): { commands: PlannedCommand[]; singles: OfferId[] } {
  const commands: PlannedCommand[] = [];
  const singles: OfferId[] = [];
  const byTarget = new Map<number, PlannedRow[]>();
  for (const row of rows) {
    const isOneNumber = (row.kind === 'lower' || row.kind === 'raise') && row.target > 0;
    // What has become 0 since it was planned is an ending: looked at, weighed by the guard, and sent alone.
    // What a command was refused for is asked one by one, so that one bad offer does not stop the others.
    const mayShare = isOneNumber && row.errorClass === null;
    if (row.route === 'patch' && !mayShare) singles.push(row.offerId);
    else byTarget.set(row.target, [...(byTarget.get(row.target) ?? []), row]);
  }
  for (const [target, group] of byTarget) {
    const isAskedFor = group.some((row) => row.route !== 'patch');
    if (!isAskedFor && group.length < MIN_OFFERS_PER_COMMAND) {
      singles.push(...group.map((row) => row.offerId));
      continue;
    }
    const isEnding = target === 0;
    for (const offers of chunks(group, MAX_OFFERS_PER_COMMAND)) {
      commands.push({
        kind: isEnding ? 'end' : 'quantity',
        quantity: isEnding ? null : target,
        offerIds: offers.map((row) => row.offerId),
      });
    }
  }
  return { commands, singles };
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

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
      quantity: command.quantity,
      offerIds: JSON.stringify(command.offerIds),
      priority: CHANGE_KINDS.indexOf(kind),
    })
    .execute();
  await trx
    .updateTable('offerChanges')
    .set({ commandId: id, route: command.kind === 'end' ? 'end_command' : 'command' })
    .where('runId', '=', run.runId)
    .where('offerId', 'in', command.offerIds)
    .execute();
}

async function readPhases(trx: Db, runId: RunId): Promise<WritePhase[]> {
  const batches = await trx
    .selectFrom('offerChanges')
    .select(['kind', 'batch'])
    .distinct()
    .where('runId', '=', runId)
    .where('state', '=', 'planned')
    .where('batch', 'is not', null)
    .orderBy('batch')
    .execute();
  const commands = await trx
    .selectFrom('commands')
    .select(['id', 'priority'])
    .where('runId', '=', runId)
    .where('state', '=', 'planned')
    .orderBy('createdAt')
    .execute();
  return CHANGE_KINDS.map((kind, priority) => ({
    kind,
    batches: batches.flatMap((row) => (row.kind === kind && row.batch !== null ? [row.batch] : [])),
    commandIds: commands.filter((row) => row.priority === priority).map((row) => row.id),
  })).filter((phase) => phase.batches.length + phase.commandIds.length > 0);
}

/** Endings of the run that nobody has approved, those held back included, and those that somebody has. */
export async function countPlannedEndings(
  db: Db,
  run: { runId: RunId; accountId: AccountId },
): Promise<{ approved: number; unapproved: number }> {
  const { rows } = await sql<{ approved: number; unapproved: number }>`
    select count(*) filter (where ${isApproved()})::integer as approved,
      count(*) filter (where not ${isApproved()})::integer as unapproved
    from offer_changes c where c.run_id = ${run.runId} and c.kind = 'end'
      and (c.state in ('planned', 'sending', 'confirmed', 'unknown') or (c.state = 'held' and c.reason = 'guard'))`.execute(
    db,
  );
  return rows[0] ?? { approved: 0, unapproved: 0 };
}

/**
 * Makes an ending of a change that was planned as something else, if the run may still end that many. One at a time, so
 * that many that fall to 0 together cannot all be the last one allowed.
 * @returns false: it would be one too many
 */
export async function claimEnding(
  db: Db,
  run: { runId: RunId; accountId: AccountId },
  ending: { readonly offerId: OfferId; readonly allowedEndings: number },
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    await trx.selectFrom('syncRuns').select('id').where('id', '=', run.runId).forUpdate().execute();
    const { unapproved } = await countPlannedEndings(trx, run);
    if (unapproved >= ending.allowedEndings) return false;
    await trx
      .updateTable('offerChanges')
      .set({ kind: 'end', target: 0 })
      .where('runId', '=', run.runId)
      .where('offerId', '=', ending.offerId)
      .where('state', 'in', ['planned', 'sending'])
      .execute();
    return true;
  });
}

function isApproved() {
  return sql<boolean>`exists (
    select 1 from approvals p where p.account_id = c.account_id and p.offer_id = c.offer_id and p.target = c.target
      and p.used_at is null and p.expires_at > clock_timestamp())`;
}

/** Holds the endings of the run that nobody has approved; returns how many. */
export async function holdEndings(db: Db, run: { runId: RunId; accountId: AccountId }): Promise<number> {
  const { rows } = await sql<{ offerId: string }>`
    update offer_changes c set state = 'held', reason = 'guard', settled_at = clock_timestamp()
    where c.run_id = ${run.runId} and c.kind = 'end' and c.state = 'planned' and not ${isApproved()}
    returning c.offer_id`.execute(db);
  return rows.length;
}

/** Marks the approvals that this run makes use of: each lets one change through, once. */
export async function useApprovals(db: Db, run: { runId: RunId; accountId: AccountId }): Promise<void> {
  await sql`
    update approvals p set used_at = clock_timestamp()
    from offer_changes c
    where c.run_id = ${run.runId} and c.kind = 'end' and c.state in ('sending', 'confirmed', 'rejected', 'unknown')
      and p.account_id = c.account_id and p.offer_id = c.offer_id and p.target = c.target and p.used_at is null`.execute(
    db,
  );
}
