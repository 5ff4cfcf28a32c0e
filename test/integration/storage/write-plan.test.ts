import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { planWrites } from '../../../src/storage/write-plan.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, plannedChanges, type ARun } from './a-run.js';

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

function times<Item>(count: number, item: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => item(index));
}

/** Offers per batch and per command, of every phase in order. */
async function shapeOf(run: ARun, options?: Parameters<typeof planWrites>[2]) {
  const phases = await planWrites(db, run, options);
  return Promise.all(
    phases.map(async ({ kind, batches, commandIds }) => ({
      kind,
      batches: await Promise.all(batches.map((batch) => countWhere(run, 'batch', batch))),
      commands: await Promise.all(commandIds.map((id) => countWhere(run, 'commandId', id))),
    })),
  );
}

async function countWhere(run: ARun, column: 'batch' | 'commandId', value: number | string): Promise<number> {
  const { count } = await db
    .selectFrom('offerChanges')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('runId', '=', run.runId)
    .where(column, '=', value)
    .executeTakeFirstOrThrow();
  return Number(count);
}

test('danger goes first: endings, lowerings, returns, raises', async () => {
  const run = await anAccountWithRun(db);
  await plannedChanges(db, run, [
    { kind: 'raise', target: 20 },
    { kind: 'reactivate', target: 5 },
    { kind: 'lower', target: 3 },
    { kind: 'end', target: 0 },
  ]);

  expect((await planWrites(db, run)).map(({ kind, batches }) => [kind, batches])).toEqual([
    ['end', [1]],
    ['lower', [2]],
    ['reactivate', [3]],
    ['raise', [4]],
  ]);
});

test('six offers of one value share a command, five go alone: fewer requests', async () => {
  const five = await anAccountWithRun(db);
  await plannedChanges(
    db,
    five,
    times(5, () => ({ kind: 'lower', target: 3 })),
  );
  expect(await shapeOf(five)).toEqual([{ kind: 'lower', batches: [5], commands: [] }]);

  const six = await anAccountWithRun(db);
  await plannedChanges(
    db,
    six,
    times(6, () => ({ kind: 'lower', target: 3 })),
  );
  expect(await shapeOf(six)).toEqual([{ kind: 'lower', batches: [], commands: [6] }]);
});

test('a command names 1000 offers at most, a batch 50', async () => {
  const many = await anAccountWithRun(db);
  await plannedChanges(
    db,
    many,
    times(2_001, () => ({ kind: 'raise', target: 20 })),
  );
  expect(await shapeOf(many)).toEqual([{ kind: 'raise', batches: [1], commands: [1_000, 1_000] }]);

  const different = await anAccountWithRun(db);
  await plannedChanges(
    db,
    different,
    times(101, (index) => ({ kind: 'lower', target: 1 + (index % 25) })),
  );
  expect(await shapeOf(different)).toEqual([{ kind: 'lower', batches: [50, 50, 1], commands: [] }]);
});

test('endings and returns never share a command', async () => {
  const run = await anAccountWithRun(db);
  await plannedChanges(
    db,
    run,
    times(60, () => ({ kind: 'end', target: 0 })),
  );
  await plannedChanges(
    db,
    run,
    times(60, () => ({ kind: 'reactivate', target: 5 })),
    '8',
  );

  expect(await shapeOf(run)).toEqual([
    { kind: 'end', batches: [50, 10], commands: [] },
    { kind: 'reactivate', batches: [50, 10], commands: [] },
  ]);
});

test('planning again gives the same plan, and only what was sent back gets a new place', async () => {
  const run = await anAccountWithRun(db);
  const [first] = await plannedChanges(
    db,
    run,
    times(12, (index) => ({ kind: 'lower', target: index === 0 ? 1 : 3 })),
  );
  const plan = await planWrites(db, run);
  expect(await planWrites(db, run)).toEqual(plan);

  await db
    .updateTable('offerChanges')
    .set({ batch: null, state: 'planned' })
    .where('runId', '=', run.runId)
    .where('offerId', '=', first ?? '')
    .execute();

  const [before] = plan;
  const [after] = await planWrites(db, run);
  expect(after?.commandIds).toEqual(before?.commandIds);
  expect(after?.batches).not.toEqual([]);
});

describe('what was marked as sending before a reset', () => {
  const setCommand = (run: ARun, state: 'sent' | 'accepted' | 'complete') =>
    db.updateTable('commands').set({ state }).where('runId', '=', run.runId).execute();
  const setChanges = (run: ARun, state: 'sending' | 'confirmed') =>
    db.updateTable('offerChanges').set({ state }).where('runId', '=', run.runId).execute();

  test('is planned where it was, if nobody is at it', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(
      db,
      run,
      times(14, (index) => ({ kind: 'lower', target: index < 2 ? 1 + index : 3 })),
    );
    const plan = await planWrites(db, run);
    expect(plan).toMatchObject([{ batches: [1], commandIds: [expect.any(String)] }]);
    await setChanges(run, 'sending');

    for (const state of ['sent', 'accepted', 'complete'] as const) {
      await setCommand(run, state);
      expect(await planWrites(db, run, { withSending: true })).toEqual(plan);
      expect(await planWrites(db, run)).toEqual([]);
    }
  });

  test('is not planned once it has ended, nor is a command whose changes went another way', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(
      db,
      run,
      times(12, () => ({ kind: 'lower', target: 3 })),
    );
    await planWrites(db, run);
    await setCommand(run, 'sent');
    await setChanges(run, 'confirmed');
    expect(await planWrites(db, run, { withSending: true })).toEqual([]);

    await db
      .updateTable('offerChanges')
      .set({ commandId: null, batch: 7, state: 'sending' })
      .where('runId', '=', run.runId)
      .execute();
    expect(await planWrites(db, run, { withSending: true })).toEqual([{ kind: 'lower', batches: [7], commandIds: [] }]);
  });
});

test('what has become 0 goes alone, however many there are', async () => {
  const run = await anAccountWithRun(db);
  await plannedChanges(
    db,
    run,
    times(12, () => ({ kind: 'raise', target: 20 })),
  );
  await db.updateTable('offerChanges').set({ target: 0 }).where('runId', '=', run.runId).execute();

  expect(await shapeOf(run)).toEqual([{ kind: 'raise', batches: [12], commands: [] }]);
});

describe('with commands that carry a number for each offer', () => {
  test('different numbers share them, many of one number have their own, a few are left alone', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      ...times(53, (index) => ({ kind: 'lower' as const, target: 1 + (index % 9) })),
      ...times(30, () => ({ kind: 'raise' as const, target: 77 })),
    ]);

    expect(await shapeOf(run, { maxBulkChanges: 25 })).toEqual([
      { kind: 'lower', batches: [3], commands: [25, 25] },
      { kind: 'raise', batches: [], commands: [30] },
    ]);
    const commands = await db
      .selectFrom('commands')
      .select(['kind', 'quantity', 'offerIds', 'quantities'])
      .where('runId', '=', run.runId)
      .execute();
    expect(commands.map(({ kind }) => kind).sort()).toEqual(['bulk', 'bulk', 'quantity']);
    for (const { kind, offerIds, quantities, quantity } of commands) {
      expect(quantity).toBe(kind === 'bulk' ? null : 77);
      const rows = await db
        .selectFrom('offerChanges')
        .select(['offerId', 'target', 'route'])
        .where('runId', '=', run.runId)
        .where('offerId', 'in', offerIds)
        .execute();
      const targets = new Map(rows.map((row) => [row.offerId, row.target]));
      if (kind === 'bulk') expect(quantities).toEqual(offerIds.map((offerId) => targets.get(offerId)));
      expect(new Set(rows.map(({ route }) => route))).toEqual(new Set([kind === 'bulk' ? 'bulk' : 'command']));
    }
  });

  test('endings, returns and what was refused before never go by them', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      ...times(30, () => ({ kind: 'end' as const, target: 0 })),
      ...times(30, (index) => ({ kind: 'reactivate' as const, target: 1 + index })),
      ...times(30, (index) => ({ kind: 'raise' as const, target: 20 + index })),
    ]);
    await db
      .updateTable('offerChanges')
      .set({ errorClass: 'OfferRejected' })
      .where('runId', '=', run.runId)
      .where('kind', '=', 'raise')
      .execute();

    expect(await shapeOf(run, { maxBulkChanges: 25 })).toEqual([
      { kind: 'end', batches: [30], commands: [] },
      { kind: 'reactivate', batches: [30], commands: [] },
      { kind: 'raise', batches: [30], commands: [] },
    ]);
  });
});

describe('within what the seller’s quotas leave', () => {
  test('what has one way only comes first, the others take the way that has room', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      ...times(4, (index) => ({ kind: 'lower' as const, target: 1 + index })),
      ...times(8, () => ({ kind: 'reactivate' as const, target: 5 })),
    ]);

    const room = { single: 10, command: 100, bulk: 0 };

    // Ten single writes are left, eight of them for the returns.
    expect(await shapeOf(run, { room })).toEqual([
      { kind: 'lower', batches: [2], commands: [1, 1] },
      { kind: 'reactivate', batches: [8], commands: [] },
    ]);
  });

  test('the more dangerous takes the room first; what finds none waits where it is cheapest', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      ...times(3, (index) => ({ kind: 'raise' as const, target: 20 + index })),
      ...times(3, (index) => ({ kind: 'lower' as const, target: 1 + index })),
    ]);

    expect(await shapeOf(run, { room: { single: 3, command: 2, bulk: 0 } })).toEqual([
      { kind: 'lower', batches: [3], commands: [] },
      { kind: 'raise', batches: [1], commands: [1, 1] },
    ]);
  });
});

test('what is held, settled or of another run is not planned', async () => {
  const run = await anAccountWithRun(db);
  const other = await anAccountWithRun(db);
  await plannedChanges(db, other, [{ kind: 'lower', target: 3 }], '7');
  await plannedChanges(db, run, [{ kind: 'raise', target: 20, state: 'held', reason: 'unbooked_sale' }]);

  expect(await planWrites(db, run)).toEqual([]);
});
