import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { openIncident, resolveIncidents } from '../../../src/storage/incidents.js';
import { deleteOldHistory } from '../../../src/storage/retention.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';
import { anAccountWithRun, aRunOf, plannedChanges } from './a-run.js';

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

const DAY_MS = 86_400_000;

async function closeAt(runId: string, finishedAt: Date): Promise<void> {
  await db.updateTable('syncRuns').set({ state: 'closed', finishedAt }).where('id', '=', runId).execute();
}

async function runIds(accountId: string): Promise<string[]> {
  const rows = await db.selectFrom('syncRuns').select('id').where('accountId', '=', accountId).execute();
  return rows.map((row) => row.id);
}

test('closed runs older than the retention go with their changes; younger and open ones stay', async () => {
  const old = await anAccountWithRun(db);
  await plannedChanges(db, old, [{ kind: 'lower', target: 3 }]);
  const young = await aRunOf(db, old.accountId);
  const open = await aRunOf(db, old.accountId);
  await closeAt(old.runId, new Date(Date.now() - 91 * DAY_MS));
  await closeAt(young.runId, new Date(Date.now() - 89 * DAY_MS));

  expect(await deleteOldHistory(db, 90)).toMatchObject({ runs: 1 });

  expect((await runIds(old.accountId)).sort()).toEqual([young.runId, open.runId].sort());
  expect(await db.selectFrom('offerChanges').selectAll().where('runId', '=', old.runId).execute()).toEqual([]);
});

test('a run with a change whose outcome nobody knows stays, however old', async () => {
  const run = await anAccountWithRun(db);
  await plannedChanges(db, run, [{ kind: 'lower', target: 3 }]);
  await db.updateTable('offerChanges').set({ state: 'unknown' }).where('runId', '=', run.runId).execute();
  await closeAt(run.runId, new Date(0));

  expect(await deleteOldHistory(db, 90)).toMatchObject({ runs: 0 });

  expect(await runIds(run.accountId)).toEqual([run.runId]);
});

test('a long backlog goes in one call', async () => {
  const { accountId, runId } = await anAccountWithRun(db);
  const row = await db.selectFrom('syncRuns').selectAll().where('id', '=', runId).executeTakeFirstOrThrow();
  await db
    .insertInto('syncRuns')
    .values(
      Array.from({ length: 250 }, (_, index) => ({
        ...row,
        id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
        executionId: `old-${index}`,
        skus: null,
        failure: null,
        buckets: null,
        skipped: null,
        failed: null,
        held: null,
        guard: null,
        state: 'closed' as const,
        finishedAt: new Date(0),
      })),
    )
    .execute();

  expect(await deleteOldHistory(db, 90)).toMatchObject({ runs: 250 });

  expect(await runIds(accountId)).toEqual([runId]);
});

test('resolved incidents go, open ones stay', async () => {
  const { accountId } = await anAccountWithRun(db);
  const about = { accountId, title: 'a problem', details: {} };
  await openIncident(db, { ...about, class: 'Over' });
  await resolveIncidents(db, { accountId, classes: ['Over'] }, new Date(0));
  await openIncident(db, { ...about, class: 'Lasting' });

  expect(await deleteOldHistory(db, 90)).toMatchObject({ incidents: 1 });

  const left = await db.selectFrom('incidents').select('class').where('accountId', '=', accountId).execute();
  expect(left).toEqual([{ class: 'Lasting' }]);
});
