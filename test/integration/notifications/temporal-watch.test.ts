import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createTemporalWatch, type TemporalFacts } from '../../../src/temporal-watch.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'temporal-watch test' });
});
beforeEach(async () => {
  await db.deleteFrom('incidents').execute();
  await db.deleteFrom('outbox').execute();
  await db.deleteFrom('scheduleTicks').execute();
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const MADE_AT = '2026-11-01T00:00:00.000Z';

type Schedule = NonNullable<TemporalFacts['schedule']>;

function facts({ unpolledQueues = [], ...schedule }: Partial<Schedule & TemporalFacts> = {}): TemporalFacts {
  return {
    schedule: {
      madeAt: MADE_AT,
      isPaused: false,
      note: null,
      runsStarted: 10,
      ticksSkipped: 2,
      ticksMissed: 1,
      ...schedule,
    },
    unpolledQueues,
  };
}

async function incidents(): Promise<string[]> {
  const rows = await db.selectFrom('incidents').selectAll().orderBy('id').execute();
  return rows.map((row) => `${row.class} ${row.state} ${row.occurrences}`);
}

async function messages(): Promise<unknown[]> {
  const rows = await db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message['kind']);
}

test('a paused Schedule is told once, by however many processes look however often, and told to be over', async () => {
  const [one, other] = [createTemporalWatch(db), createTemporalWatch(db)];
  for (const watch of [one, one, other, one, other]) await watch.look(facts({ isPaused: true, note: 'stocktaking' }));
  expect(await messages()).toEqual(['system_problem']);
  const [{ details } = { details: {} }] = await db.selectFrom('incidents').select('details').execute();
  expect(details).toMatchObject({ details: 'stocktaking', action: 'allegro-stock-sync schedule resume' });

  await other.look(facts());
  await one.look(facts());
  expect(await messages()).toEqual(['system_problem', 'resolved']);

  await one.look(facts({ isPaused: true }));
  expect(await incidents()).toEqual(['SchedulePaused resolved 1', 'SchedulePaused open 1']);
});

test('ticks that started no run are told, and over when one has started its run again', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts());
  expect(await incidents()).toEqual([]);

  await watch.look(facts({ ticksSkipped: 3 }));
  await watch.look(facts({ ticksSkipped: 3 }));
  expect(await incidents()).toEqual(['ScheduleSkips open 1']);

  await watch.look(facts({ ticksSkipped: 4, runsStarted: 11 }));
  expect(await incidents()).toEqual(['ScheduleSkips open 1']);

  await watch.look(facts({ ticksSkipped: 4, runsStarted: 12 }));
  expect(await incidents()).toEqual(['ScheduleSkips resolved 1']);
  expect(await messages()).toEqual(['system_problem', 'resolved']);
});

test('ticks missed while Temporal was away are told like those that were skipped', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts());
  await watch.look(facts({ ticksMissed: 5 }));
  expect(await incidents()).toEqual(['ScheduleSkips open 1']);
});

test('a Schedule that was made anew, with its counts at 0, has lost no ticks', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts());
  const anew = { madeAt: '2026-11-02T00:00:00.000Z', ticksSkipped: 0, ticksMissed: 0 };
  await watch.look(facts({ ...anew, runsStarted: 0 }));
  await watch.look(facts({ ...anew, runsStarted: 1 }));
  expect(await incidents()).toEqual([]);

  await watch.look(facts({ ...anew, ticksMissed: 1, runsStarted: 1 }));
  expect(await incidents()).toEqual(['ScheduleSkips open 1']);
});

test('a worker that was stopped with what it had heard says nothing of what was told since', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts());
  await watch.look(facts({ ticksMissed: 5 }));
  await watch.look(facts({ ticksMissed: 5, runsStarted: 11 }));
  expect(await incidents()).toEqual(['ScheduleSkips resolved 1']);

  await watch.look(facts());
  await watch.look(facts({ ticksMissed: 5, runsStarted: 12 }));

  expect(await incidents()).toEqual(['ScheduleSkips resolved 1']);
});

test('ticks lost while no process was there to look are told by the next one, once', async () => {
  await createTemporalWatch(db).look(facts());
  const [one, other] = [createTemporalWatch(db), createTemporalWatch(db)];
  await one.look(facts({ ticksMissed: 9 }));
  await other.look(facts({ ticksMissed: 9 }));
  expect(await messages()).toEqual(['system_problem']);

  await other.look(facts({ ticksMissed: 9, runsStarted: 11 }));
  await one.look(facts({ ticksMissed: 9, runsStarted: 11 }));
  expect(await messages()).toEqual(['system_problem', 'resolved']);
});

test('without a Schedule there is nothing to pause or skip', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts());
  await watch.look(facts({ isPaused: true, ticksSkipped: 9 }));
  await watch.look({ schedule: null, unpolledQueues: [] });
  expect(await incidents()).toEqual(['SchedulePaused resolved 1', 'ScheduleSkips resolved 1']);
});

test('what somebody has resolved by hand is told again while it lasts', async () => {
  const watch = createTemporalWatch(db);
  await watch.look(facts({ isPaused: true }));
  await db.updateTable('incidents').set({ state: 'resolved' }).execute();
  await watch.look(facts({ isPaused: true }));
  expect(await incidents()).toEqual(['SchedulePaused resolved 1', 'SchedulePaused open 1']);
});

test('a task queue that nobody polls is told at the second look, since a worker that starts is not listed yet', async () => {
  const watch = createTemporalWatch(db);
  const unpolledQueues = ['allegro-stock-sync-marketplace (activities)'];
  await watch.look(facts({ unpolledQueues }));
  await watch.look(facts());
  await watch.look(facts({ unpolledQueues }));
  expect(await incidents()).toEqual([]);

  await watch.look(facts({ unpolledQueues }));
  expect(await incidents()).toEqual(['NoWorkerPolls open 1']);

  await watch.look(facts());
  expect(await incidents()).toEqual(['NoWorkerPolls resolved 1']);
});
