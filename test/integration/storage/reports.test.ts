import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { toAccountId, toOfferId, toRunId, type AccountId, type RunId } from '../../../src/domain/ids.js';
import { addAccount } from '../../../src/storage/accounts.js';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { excludeOffer, includeOffer } from '../../../src/storage/exclusions.js';
import {
  countSharedSkus,
  findRuns,
  isKnownOfferOrSku,
  lastRuns,
  listHistory,
  listRunOffers,
} from '../../../src/storage/reports.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;
let accounts = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'reports test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function anAccount(): Promise<AccountId> {
  accounts += 1;
  const accountId = toAccountId(`shop-${accounts}`);
  await addAccount(db, { accountId, name: `Shop ${accounts}` });
  return accountId;
}

async function aRun(accountId: AccountId, fields: { mode?: string; groupId?: string } = {}): Promise<RunId> {
  const runId = toRunId(randomUUID());
  await sql`
    insert into sync_runs (id, account_id, group_id, workflow_id, execution_id, trigger, mode, fence, started_at)
    values (${runId}, ${accountId}, ${fields.groupId ?? runId}, 'w', ${randomUUID()}, 'manual', ${fields.mode ?? 'live'}, 1,
      clock_timestamp())`.execute(db);
  return runId;
}

interface ChangeFields {
  readonly offerId: string;
  readonly kind?: string;
  readonly state?: string;
  readonly reason?: string | null;
  readonly errorClass?: string | null;
  readonly sku?: string;
}

async function aChange(accountId: AccountId, runId: RunId, fields: ChangeFields): Promise<void> {
  const { offerId, kind = 'end', state = 'planned', reason = null, errorClass = null, sku = 'SKU' } = fields;
  await sql`
    insert into offer_changes (run_id, offer_id, account_id, sku, kind, state, reason, value_before, status_before, target, error_class)
    values (${runId}, ${offerId}, ${accountId}, ${sku}, ${kind}, ${state}, ${reason}, 5, 'ACTIVE', 0, ${errorClass})`.execute(
    db,
  );
}

async function anOffer(
  accountId: AccountId,
  offerId: string,
  fields: { runId?: RunId; bucket?: string; reason?: string; sku?: string; status?: string } = {},
): Promise<void> {
  await sql`
    insert into offers (account_id, offer_id, sku, name, format, status, available, sold, is_fulfillment,
      known_available, known_at, last_run_id, bucket, reason, seen_at)
    values (${accountId}, ${offerId}, ${fields.sku ?? 'SKU'}, 'Tea', 'BUY_NOW', ${fields.status ?? 'ACTIVE'}, 5, 0, false, 5,
      now(), ${fields.runId ?? null}, ${fields.bucket ?? 'change'}, ${fields.reason ?? null}, now())`.execute(db);
}

describe('the offers of a run', () => {
  test('have the bucket and the reason that the run counted them under', async () => {
    const accountId = await anAccount();
    const runId = await aRun(accountId);
    const changes: (ChangeFields & { bucket: string; why: string | null })[] = [
      { offerId: '1', state: 'confirmed', kind: 'end', bucket: 'ended', why: null },
      { offerId: '2', state: 'confirmed', kind: 'raise', bucket: 'raised', why: null },
      { offerId: '3', state: 'rejected', errorClass: 'OfferRejected', bucket: 'failed', why: 'OfferRejected' },
      { offerId: '4', state: 'held', reason: 'guard', bucket: 'held', why: 'guard' },
      { offerId: '5', state: 'unknown', bucket: 'pending', why: null },
      { offerId: '6', state: 'superseded', reason: 'skipped:unknown_sku', bucket: 'skipped', why: 'unknown_sku' },
      { offerId: '7', state: 'in_sync', bucket: 'in_sync', why: null },
    ];
    for (const change of changes) {
      await aChange(accountId, runId, change);
      await anOffer(accountId, change.offerId, { runId });
    }
    await anOffer(accountId, '8', { runId, bucket: 'skipped', reason: 'no_sku' });
    await anOffer(accountId, '9', { runId, bucket: 'in_sync' });

    const offers = await listRunOffers(db, [runId]);
    expect(offers.map(({ offerId, bucket, reason }) => [offerId, bucket, reason])).toEqual([
      ...changes.map(({ offerId, bucket, why }) => [offerId, bucket, why]),
      ['8', 'skipped', 'no_sku'],
    ]);
    expect((await listRunOffers(db, [runId], 'in_sync')).map(({ offerId }) => offerId)).toEqual(['7', '9']);
    expect((await listRunOffers(db, [runId], 'skipped')).map(({ offerId }) => offerId)).toEqual(['6', '8']);
  });

  test('of a preview would be written', async () => {
    const accountId = await anAccount();
    const runId = await aRun(accountId, { mode: 'preview' });
    await aChange(accountId, runId, { offerId: '1', kind: 'lower' });
    expect((await listRunOffers(db, [runId])).map(({ bucket }) => bucket)).toEqual(['would_lower']);
  });
});

describe('a run', () => {
  test('is found by its own id and by that of its group', async () => {
    const [one, two] = [await anAccount(), await anAccount()];
    const groupId = randomUUID();
    const first = await aRun(one, { groupId });
    const second = await aRun(two, { groupId });
    expect((await findRuns(db, first)).map(({ runId }) => runId)).toEqual([first]);
    expect((await findRuns(db, groupId)).map(({ runId }) => runId)).toEqual([first, second]);
    expect((await findRuns(db, groupId, two)).map(({ runId }) => runId)).toEqual([second]);
    expect(await findRuns(db, randomUUID())).toEqual([]);
  });

  test('is the last one of its account when no newer one was started', async () => {
    const accountId = await anAccount();
    await aRun(accountId);
    const newest = await aRun(accountId);
    const last = (await lastRuns(db)).filter((run) => run.accountId === accountId);
    expect(last.map(({ runId }) => runId)).toEqual([newest]);
  });
});

describe('the history', () => {
  test('of a SKU has the changes of all its offers, of an offer only its own', async () => {
    const accountId = await anAccount();
    const runId = await aRun(accountId);
    await aChange(accountId, runId, { offerId: '7001', sku: 'TEA-H' });
    await aChange(accountId, runId, { offerId: '7002', sku: 'TEA-H', state: 'rejected', errorClass: 'OfferRejected' });
    const offersOf = async (offerOrSku: string) =>
      (await listHistory(db, { offerOrSku, limit: 10 })).map(({ offerId }) => offerId).sort();
    expect(await offersOf('TEA-H')).toEqual(['7001', '7002']);
    expect(await offersOf('7002')).toEqual(['7002']);
    expect(await listHistory(db, { offerOrSku: 'TEA-H', accountId: toAccountId('nobody'), limit: 10 })).toEqual([]);
    expect(await listHistory(db, { offerOrSku: 'TEA-H', limit: 1 })).toHaveLength(1);
  });

  test('knows offers and SKUs that were seen or are in the stock', async () => {
    const accountId = await anAccount();
    await anOffer(accountId, '8001', { sku: 'TEA-K' });
    expect(await isKnownOfferOrSku(db, '8001')).toBe(true);
    expect(await isKnownOfferOrSku(db, 'TEA-K')).toBe(true);
    expect(await isKnownOfferOrSku(db, 'nothing')).toBe(false);
  });
});

test('a SKU is shared when several running offers have it, in one account or in several', async () => {
  await sql`delete from offers`.execute(db);
  const [one, two] = [await anAccount(), await anAccount()];
  await anOffer(one, '1', { sku: 'alone' });
  await anOffer(one, '2', { sku: 'across' });
  await anOffer(two, '3', { sku: 'across' });
  await anOffer(one, '4', { sku: 'within' });
  await anOffer(one, '5', { sku: 'within' });
  await anOffer(one, '6', { sku: 'half-ended' });
  await anOffer(one, '7', { sku: 'half-ended', status: 'ENDED' });
  expect(await countSharedSkus(db)).toEqual({ skus: 2, withinOneAccount: 1 });
});

describe('an approval', () => {
  async function approvals(runId: RunId) {
    const { rows } = await sql<{ offerId: string; target: number; hours: number }>`
      select offer_id, target, round(extract(epoch from expires_at - now()) / 3600)::integer as hours
      from approvals where run_id = ${runId} order by offer_id`.execute(db);
    return rows;
  }

  test('is given to exactly the guarded changes of the run, with their targets, for 24 hours', async () => {
    const accountId = await anAccount();
    const runId = await aRun(accountId);
    await aChange(accountId, runId, { offerId: '1', state: 'held', reason: 'guard' });
    await aChange(accountId, runId, { offerId: '2', state: 'held', reason: 'guard' });
    await aChange(accountId, runId, { offerId: '3', state: 'held', reason: 'unbooked_sale' });
    await aChange(accountId, runId, { offerId: '4', state: 'confirmed' });
    await aChange(accountId, await aRun(accountId), { offerId: '5', state: 'held', reason: 'guard' });

    expect(await approveHeldChanges(db, accountId, runId)).toBe(2);
    expect(await approvals(runId)).toEqual([
      { offerId: '1', target: 0, hours: 24 },
      { offerId: '2', target: 0, hours: 24 },
    ]);
  });

  test('given again is the same approval, and a used one is not given again', async () => {
    const accountId = await anAccount();
    const runId = await aRun(accountId);
    await aChange(accountId, runId, { offerId: '1', state: 'held', reason: 'guard' });
    await aChange(accountId, runId, { offerId: '2', state: 'held', reason: 'guard' });
    expect(await approveHeldChanges(db, accountId, runId)).toBe(2);
    expect(await approveHeldChanges(db, accountId, runId)).toBe(2);
    await sql`update approvals set used_at = now() where run_id = ${runId} and offer_id = '1'`.execute(db);
    expect(await approveHeldChanges(db, accountId, runId)).toBe(1);
    expect(await approvals(runId)).toHaveLength(2);
  });

  test('of a run that held nothing is none', async () => {
    const accountId = await anAccount();
    expect(await approveHeldChanges(db, accountId, await aRun(accountId))).toBe(0);
  });
});

test('an exclusion can be given again with another reason, and taken back once', async () => {
  const accountId = await anAccount();
  const offerId = toOfferId('9001');
  await excludeOffer(db, { accountId, offerId, reason: 'one' });
  await excludeOffer(db, { accountId, offerId, reason: 'two' });
  const rows = await db.selectFrom('excludedOffers').select('reason').where('accountId', '=', accountId).execute();
  expect(rows).toEqual([{ reason: 'two' }]);
  expect(await includeOffer(db, accountId, offerId)).toBe(true);
  expect(await includeOffer(db, accountId, offerId)).toBe(false);
});
