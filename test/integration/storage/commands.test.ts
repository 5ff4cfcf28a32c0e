import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CommandId, OfferId } from '../../../src/domain/ids.js';
import { toCommandId } from '../../../src/domain/ids.js';
import {
  freezeCommand,
  readCommand,
  readOpenCommands,
  returnToPlan,
  setCommandState,
  thawCommand,
  type MarkedOffer,
} from '../../../src/storage/commands.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { planWrites } from '../../../src/storage/write-plan.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, aRunOf, plannedChanges, type ARun } from './a-run.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

interface Planned {
  readonly run: ARun;
  readonly commandId: CommandId;
  readonly offerIds: readonly OfferId[];
  readonly offers: readonly MarkedOffer[];
}

async function aCommand(): Promise<Planned> {
  const run = await anAccountWithRun(db);
  const offerIds = await plannedChanges(
    db,
    run,
    Array.from({ length: 10 }, () => ({ kind: 'lower', target: 3 })),
  );
  const [phase] = await planWrites(db, run);
  return {
    run,
    offerIds,
    offers: offerIds.map((offerId) => ({ offerId, target: 3, mark: null })),
    commandId: toCommandId(phase?.commandIds[0] ?? ''),
  };
}

async function statesOf({ runId }: ARun): Promise<string[]> {
  const rows = await db.selectFrom('offerChanges').select('state').where('runId', '=', runId).execute();
  return [...new Set(rows.map((row) => row.state))];
}

test('freezing stores the content that is sent and marks its changes, both or neither', async () => {
  const { run, commandId, offers } = await aCommand();
  const some = offers.slice(0, 7);

  expect(await freezeCommand(db, run, { commandId, kind: 'quantity', offers: some })).toMatchObject({ kind: 'marked' });

  const command = await readCommand(db, run.accountId, commandId);
  expect(command).toMatchObject({ state: 'sent', kind: 'quantity' });
  expect(command?.offers.map(({ offerId }) => offerId)).toEqual(some.map(({ offerId }) => offerId));
  expect(command?.sentAt).toBeInstanceOf(Date);
  expect((await statesOf(run)).sort()).toEqual(['planned', 'sending']);
});

test('an overtaken run freezes nothing', async () => {
  const { run, commandId, offers } = await aCommand();
  await aRunOf(db, run.accountId);

  expect(await freezeCommand(db, run, { commandId, kind: 'quantity', offers })).toEqual({ kind: 'superseded' });

  expect(await readCommand(db, run.accountId, commandId)).toMatchObject({ state: 'planned', sentAt: null });
  expect(await statesOf(run)).toEqual(['superseded']);
});

test('a command is thawed by who froze it last', async () => {
  const { run, commandId, offers } = await aCommand();
  const first = await freezeCommand(db, run, { commandId, kind: 'quantity', offers });
  if (first.kind !== 'marked') throw new Error(first.kind);
  const read = offers.map((offer) => ({ ...offer, mark: first.mark }));
  const again = await freezeCommand(db, run, { commandId, kind: 'quantity', offers: read });
  if (again.kind !== 'marked') throw new Error(again.kind);

  await thawCommand(db, run, { commandId, offers }, first.mark);
  expect(await readCommand(db, run.accountId, commandId)).toMatchObject({ state: 'sent' });
  expect(await statesOf(run)).toEqual(['sending']);

  await thawCommand(db, run, { commandId, offers }, again.mark);
  expect(await readCommand(db, run.accountId, commandId)).toMatchObject({ state: 'planned', sentAt: null });
  expect(await statesOf(run)).toEqual(['planned']);
});

test('what was sent and has not ended is open: for its own run, and for those after it', async () => {
  const { run, commandId, offers } = await aCommand();
  const own = () => readOpenCommands(db, run.accountId, { thisRun: run.runId });
  expect(await own()).toEqual([]);
  await freezeCommand(db, run, { commandId, kind: 'quantity', offers });
  expect(await own()).toHaveLength(1);
  await setCommandState(db, commandId, { from: ['sent'], to: 'accepted' });

  const next = await aRunOf(db, run.accountId);
  const earlier = () => readOpenCommands(db, run.accountId, { otherThan: next.runId });
  expect((await earlier()).map((command) => command.commandId)).toEqual([commandId]);

  await setCommandState(db, commandId, { from: ['planned'], to: 'superseded' });
  expect(await earlier()).toHaveLength(1);
  await setCommandState(db, commandId, { from: ['sent', 'accepted'], to: 'complete' });
  expect(await earlier()).toEqual([]);
  await setCommandState(db, commandId, { from: ['sent'], to: 'accepted' });
  expect(await earlier()).toEqual([]);
});

test('what is sent back is planned anew, without a command, and with the number of now', async () => {
  const { run, commandId, offerIds, offers } = await aCommand();
  const marking = await freezeCommand(db, run, { commandId, kind: 'quantity', offers });
  const mark = marking.kind === 'marked' ? marking.mark : null;
  const [first, second] = offerIds;
  if (first === undefined || second === undefined) throw new Error('no offers');
  await db
    .updateTable('offerChanges')
    .set({ state: 'confirmed' })
    .where('runId', '=', run.runId)
    .where('offerId', '=', second)
    .execute();

  await returnToPlan(db, run.runId, [
    { offerId: first, target: 5, route: 'patch', mark },
    { offerId: second, target: 5, route: 'patch', mark },
  ]);

  const rows = await db
    .selectFrom('offerChanges')
    .select(['offerId', 'state', 'target', 'commandId'])
    .where('runId', '=', run.runId)
    .where('offerId', 'in', [first, second])
    .orderBy('offerId')
    .execute();
  expect(rows).toEqual([
    { offerId: first, state: 'planned', target: 5, commandId: null },
    { offerId: second, state: 'confirmed', target: 3, commandId },
  ]);
});
