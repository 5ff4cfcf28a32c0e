import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { noCounts } from '../../../src/domain/buckets.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { readGuardMeasure } from '../../../src/storage/guarded-changes.js';
import { addRunCosts, closeRunRow, countBuckets, readRun } from '../../../src/storage/runs.js';
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

function closed(run: ARun, changes: { isComplete?: boolean; isOfAllOffers?: boolean; message?: string } = {}) {
  const { isComplete = true, isOfAllOffers = true, message } = changes;
  return closeRunRow(
    db,
    { runId: run.runId, isOfAllOffers },
    {
      outcome: 'in_sync',
      failure: message === undefined ? null : { class: 'InternalError', message },
      counts: { seen: 0, buckets: noCounts(), skipped: {}, failed: {}, held: {}, differing: 0 },
      isComplete,
    },
  );
}

async function accountOf({ accountId }: ARun) {
  return db
    .selectFrom('accounts')
    .select(['lastCompleteAt', 'lastCompleteActive', 'fence'])
    .where('id', '=', accountId)
    .executeTakeFirstOrThrow();
}

describe('buckets', () => {
  test.each([
    ['planned', 'pending'],
    ['sending', 'pending'],
    ['unknown', 'pending'],
    ['confirmed', 'lowered'],
    ['rejected', 'failed'],
    ['held', 'held'],
    ['in_sync', 'in_sync'],
    ['superseded', 'pending'],
  ] as const)('a change that is %s counts as %s', async (state, bucket) => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [{ kind: 'lower', target: 3 }]);
    await db
      .updateTable('offerChanges')
      .set({ state, errorClass: 'OfferRejected', reason: 'guard' })
      .where('runId', '=', run.runId)
      .execute();

    const counts = await countBuckets(db, { ...run, isPreview: false });

    expect(counts.buckets).toEqual({ ...noCounts(), [bucket]: 1 });
    expect(counts).toMatchObject({ seen: 1, differing: 1 });
    expect(counts.failed).toEqual(bucket === 'failed' ? { OfferRejected: 1 } : {});
    expect(counts.held).toEqual(bucket === 'held' ? { guard: 1 } : {});
  });

  test('an offer that turned out not to be ours to touch counts as skipped, with the reason', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [{ kind: 'lower', target: 3 }]);
    await db
      .updateTable('offerChanges')
      .set({ state: 'superseded', reason: 'skipped:unknown_sku' })
      .where('runId', '=', run.runId)
      .execute();

    const counts = await countBuckets(db, { ...run, isPreview: false });

    expect(counts).toMatchObject({ seen: 1, skipped: { unknown_sku: 1 } });
  });

  test('in preview a planned change counts as what would be done', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      { kind: 'end', target: 0 },
      { kind: 'raise', target: 20 },
    ]);

    const { buckets } = await countBuckets(db, { ...run, isPreview: true });

    expect(buckets).toEqual({ ...noCounts(), would_end: 1, would_raise: 1 });
  });
});

describe('opening and closing', () => {
  test('two runs that open at once get two fences, and only the newer owns the account', async () => {
    const { accountId } = await anAccountWithRun(db);

    const runs = await Promise.all([aRunOf(db, accountId), aRunOf(db, accountId)]);

    expect(new Set(runs.map((run) => run.fence)).size).toBe(2);
    const owners = await Promise.all(runs.map(async (run) => (await readRun(db, run.runId))?.isSuperseded));
    expect(owners.filter((isSuperseded) => isSuperseded === false)).toHaveLength(1);
  });

  test('a preview leaves what a live run has planned to the next live run’s history', async () => {
    const live = await anAccountWithRun(db);
    await plannedChanges(db, live, [{ kind: 'lower', target: 3 }]);

    const preview = await aRunOf(db, live.accountId, 'preview');
    await plannedChanges(db, preview, [{ kind: 'lower', target: 3 }]);
    await aRunOf(db, live.accountId);

    const states = await db
      .selectFrom('offerChanges')
      .select(['runId', 'state'])
      .where('accountId', '=', live.accountId)
      .execute();
    expect(Object.fromEntries(states.map(({ runId, state }) => [runId, state]))).toEqual({
      [live.runId]: 'superseded',
      // What a preview shows stays what it was.
      [preview.runId]: 'planned',
    });
  });

  test('requests of activities that end at the same time are all counted', async () => {
    const run = await anAccountWithRun(db);

    await Promise.all(Array.from({ length: 20 }, () => addRunCosts(db, run.runId, { requests: 3, batches: 1 })));

    expect(await closed(run)).toEqual({ requests: 60, batches: 20 });
  });

  test.each([
    ['an incomplete run', { isComplete: false }],
    ['a run of chosen SKUs', { isOfAllOffers: false }],
  ])('%s is not remembered as complete', async (_which, changes) => {
    const run = await anAccountWithRun(db);

    await closed(run, changes);

    expect(await accountOf(run)).toMatchObject({ lastCompleteAt: null, lastCompleteActive: null });
  });

  test('a failure whose message no text can hold closes the run all the same', async () => {
    const run = await anAccountWithRun(db);

    await closed(run, { message: 'a \0 b' });

    const { failure } = await db
      .selectFrom('syncRuns')
      .select('failure')
      .where('id', '=', run.runId)
      .executeTakeFirstOrThrow();
    expect(failure?.message).toBe('a \ufffd b');
  });

  test('the guards measure against the last complete run, and before there is one against this scan', async () => {
    const run = await anAccountWithRun(db);
    await plannedChanges(db, run, [
      { kind: 'lower', target: 3 },
      { kind: 'end', target: 0 },
      { kind: 'reactivate', target: 5 },
    ]);
    const { rows } = await sql<{ pieces: number }>`
      select sum(available)::integer as pieces from offers
      where account_id = ${run.accountId} and status = 'ACTIVE'`.execute(db);
    const seen = { activeOffers: 2, shownPieces: rows[0]?.pieces };
    expect(await readGuardMeasure(db, run, 20)).toEqual({ ...seen, maxPercent: 20, isFirstLiveRun: true });
    await closed(run);

    const next = await aRunOf(db, run.accountId);

    expect(await readGuardMeasure(db, next, 20)).toEqual({ ...seen, maxPercent: 20, isFirstLiveRun: false });
  });
});
