import { afterAll, beforeAll, expect, test } from '@jest/globals';
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
async function shapeOf(run: ARun) {
  const phases = await planWrites(db, run);
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

test('ten offers of one value share a command, nine go alone', async () => {
  const nine = await anAccountWithRun(db);
  await plannedChanges(
    db,
    nine,
    times(9, () => ({ kind: 'lower', target: 3 })),
  );
  expect(await shapeOf(nine)).toEqual([{ kind: 'lower', batches: [9], commands: [] }]);

  const ten = await anAccountWithRun(db);
  await plannedChanges(
    db,
    ten,
    times(10, () => ({ kind: 'lower', target: 3 })),
  );
  expect(await shapeOf(ten)).toEqual([{ kind: 'lower', batches: [], commands: [10] }]);
});

test('a command names 1000 offers at most, a batch 50', async () => {
  const many = await anAccountWithRun(db);
  await plannedChanges(
    db,
    many,
    times(2_001, () => ({ kind: 'raise', target: 20 })),
  );
  expect(await shapeOf(many)).toEqual([{ kind: 'raise', batches: [], commands: [1_000, 1_000, 1] }]);

  const different = await anAccountWithRun(db);
  await plannedChanges(
    db,
    different,
    times(101, (index) => ({ kind: 'lower', target: 1 + (index % 20) })),
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

test('what is held, settled or of another run is not planned', async () => {
  const run = await anAccountWithRun(db);
  const other = await anAccountWithRun(db);
  await plannedChanges(db, other, [{ kind: 'lower', target: 3 }], '7');
  await plannedChanges(db, run, [{ kind: 'raise', target: 20, state: 'held', reason: 'unbooked_sale' }]);

  expect(await planWrites(db, run)).toEqual([]);
});
