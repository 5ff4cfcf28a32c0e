import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { openIncident } from '../../../src/storage/incidents.js';
import {
  countVanishedStock,
  readOpenAccountClasses,
  readRecoveredOffers,
  readFailedChanges,
  readUntoldQuarantines,
  releaseQuarantine,
} from '../../../src/storage/run-findings.js';
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

test('failures are told by danger: endings first, then the lowerings with the most pieces at risk', async () => {
  const run = await anAccountWithRun(db);
  await plannedChanges(db, run, [
    { kind: 'raise', target: 20 },
    { kind: 'lower', target: 9 },
    { kind: 'lower', target: 2 },
    { kind: 'end', target: 0 },
  ]);
  await db.updateTable('offerChanges').set({ state: 'rejected' }).where('runId', '=', run.runId).execute();

  const rejected = await readFailedChanges(db, run);

  expect(rejected.map(({ kind, target }) => [kind, target])).toEqual([
    ['end', 0],
    ['lower', 2],
    ['lower', 9],
    ['raise', 20],
  ]);
  expect(rejected[0]).toMatchObject({ errorClass: 'unknown', errorMessage: 'no message', valueBefore: 10 });
});

test('the problem of an offer that is not there any more is over', async () => {
  const run = await anAccountWithRun(db);
  const [offerId = ''] = await plannedChanges(db, run, [{ kind: 'lower', target: 3 }]);
  await openIncident(db, { accountId: run.accountId, offerId, class: 'OfferNotFound', title: 'x', details: {} });
  const next = await aRunOf(db, run.accountId);
  expect(await readRecoveredOffers(db, next)).toEqual([]);

  await db.updateTable('offers').set({ goneAt: new Date() }).where('accountId', '=', run.accountId).execute();

  expect(await readRecoveredOffers(db, next)).toEqual([offerId]);
});

test('a failed offer has recovered when the run corrected it or found it right, not when it failed again or is held', async () => {
  const run = await anAccountWithRun(db);
  const offerIds = await plannedChanges(
    db,
    run,
    Array.from({ length: 5 }, () => ({ kind: 'lower', target: 3 })),
  );
  const states = ['confirmed', 'in_sync', 'rejected', 'held', 'unknown'] as const;
  for (const [index, state] of states.entries()) {
    const offerId = offerIds[index] ?? '';
    await db.updateTable('offerChanges').set({ state }).where('offerId', '=', offerId).execute();
    await openIncident(db, { accountId: run.accountId, offerId, class: 'OfferRejected', title: 'x', details: {} });
  }
  await openIncident(db, { accountId: run.accountId, class: 'Held', title: 'x', details: {} });

  expect((await readRecoveredOffers(db, run)).sort()).toEqual(offerIds.slice(0, 2).sort());
  expect(await readOpenAccountClasses(db, run)).toEqual(['Held']);
  await openIncident(db, { accountId: run.accountId, class: 'Held', title: 'x', details: {}, runId: run.runId });
  expect(await readOpenAccountClasses(db, run)).toEqual([]);
});

test('an offer that this run has not seen has not recovered', async () => {
  const earlier = await anAccountWithRun(db);
  const [offerId] = await plannedChanges(db, earlier, [{ kind: 'lower', target: 3 }], '5');
  await db.updateTable('offerChanges').set({ state: 'confirmed' }).where('runId', '=', earlier.runId).execute();
  const about = { accountId: earlier.accountId, class: 'OfferRejected', title: 'x', details: {} };
  await openIncident(db, { ...about, ...(offerId === undefined ? {} : { offerId }) });

  const run = await aRunOf(db, earlier.accountId);

  expect(await readRecoveredOffers(db, run)).toEqual([]);
});

test('a vanished stock row is one of an offer that had one and is seen by this run', async () => {
  const run = await anAccountWithRun(db);
  const [gone, never] = await plannedChanges(
    db,
    run,
    [
      { kind: 'lower', target: 3 },
      { kind: 'lower', target: 3 },
    ],
    '4',
  );
  await db
    .updateTable('offers')
    .set({ bucket: 'skipped', reason: 'unknown_sku' })
    .where('accountId', '=', run.accountId)
    .execute();
  await db
    .updateTable('offers')
    .set({ hadStock: false })
    .where('offerId', '=', never ?? '')
    .execute();

  expect(gone).toBeDefined();
  expect(await countVanishedStock(db, run)).toEqual({ count: 1, skus: ['SKU-0'] });
  expect(await countVanishedStock(db, await aRunOf(db, run.accountId))).toEqual({ count: 0, skus: [] });
});

test('a quarantine is untold while the run leaves the offer alone for it and no open incident tells of it, or of its risk', async () => {
  const run = await anAccountWithRun(db);
  const left = { state: 'superseded', reason: 'skipped:quarantined' } as const;
  const [untold, , told, noRisk, newRisk] = await plannedChanges(db, run, [
    { kind: 'lower', target: 3, ...left },
    { kind: 'lower', target: 3, ...left, failure: { errorClass: 'OfferContested', message: 'theirs' } },
    { kind: 'lower', target: 3, ...left },
    { kind: 'raise', target: 13, ...left },
    { kind: 'lower', target: 3, ...left },
    { kind: 'lower', target: 3 },
  ]);
  await sql`
    insert into quarantined_offers (account_id, offer_id, error_class, message, retry_at, available, status, target)
    select account_id, offer_id, 'OfferRejected', 'no', now(), 10, 'ACTIVE', 3 from offer_changes
    where run_id = ${run.runId}`.execute(db);
  const about = { accountId: run.accountId, title: 'x', details: {} };
  await openIncident(db, { ...about, offerId: told ?? '', class: 'OfferRejected', details: { piecesAtRisk: 7 } });
  await openIncident(db, { ...about, offerId: noRisk ?? '', class: 'OfferRejected' });
  await openIncident(db, { ...about, offerId: newRisk ?? '', class: 'OfferRejected' });
  await openIncident(db, { ...about, offerId: untold ?? '', class: 'OfferConflict' });

  const found = await readUntoldQuarantines(db, run);

  expect(found.map(({ offerId }) => offerId)).toEqual([untold, newRisk]);
  expect(found.slice(0, 1)).toMatchObject([
    { offerId: untold, runId: run.runId, valueBefore: 10, target: 3, errorClass: 'OfferRejected', errorMessage: 'no' },
  ]);
});

test('only what this run found right leaves the quarantine', async () => {
  const run = await anAccountWithRun(db);
  const [right, wrong] = await plannedChanges(
    db,
    run,
    [
      { kind: 'lower', target: 3 },
      { kind: 'lower', target: 3 },
    ],
    '3',
  );
  for (const offerId of [right ?? '', wrong ?? '']) {
    await db
      .insertInto('quarantinedOffers')
      .values({
        accountId: run.accountId,
        offerId,
        errorClass: 'OfferRejected',
        errorCode: null,
        message: 'no',
        retryAt: new Date(),
        available: 10,
        status: 'ACTIVE',
        target: 3,
      })
      .execute();
  }
  await db
    .updateTable('offers')
    .set({ bucket: 'in_sync' })
    .where('offerId', '=', right ?? '')
    .execute();

  await releaseQuarantine(db, run);

  const left = await db
    .selectFrom('quarantinedOffers')
    .select('offerId')
    .where('accountId', '=', run.accountId)
    .execute();
  expect(left).toEqual([{ offerId: wrong }]);
});
