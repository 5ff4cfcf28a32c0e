import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import { SyncError } from '../../../src/domain/errors.js';
import { toCommandId, toOfferId, type OfferId, type RunId } from '../../../src/domain/ids.js';
import type { CommandReport, Marketplace } from '../../../src/domain/marketplace.js';
import {
  changeOf,
  failureClass,
  journalEnd,
  memoryOf,
  requestsSince,
  setUpActivities,
  stock,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

/** What becomes of commands whose outcome is late, lost, or not theirs. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const PUT = 'PUT /sale/offer-quantity-change-commands/{commandId}';

interface Group {
  readonly shop: Shop;
  readonly skus: readonly string[];
  readonly offerIds: readonly OfferId[];
}

/** Offers that show 10 pieces. */
async function aShop(pieces: number, count = 6): Promise<Group> {
  const shop = await under.shop();
  const skus = Array.from({ length: count }, () => shop.sku());
  await stock(under, Object.fromEntries(skus.map((sku) => [sku, pieces])));
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
  return { shop, skus, offerIds };
}

async function planned(group: Group): Promise<{ runId: RunId; commandIds: readonly string[] }> {
  const runId = await group.shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  return { runId, commandIds: phases.flatMap((phase) => phase.commandIds) };
}

function only(items: readonly string[]): string {
  expect(items).toHaveLength(1);
  return items[0] ?? '';
}

function first(items: readonly OfferId[]): OfferId {
  const [item] = items;
  if (item === undefined) throw new Error('no offers');
  return item;
}

const SCHEDULED = { priority: 'scheduled' } as const;

function check(runId: RunId, of: 'this_run' | 'earlier_runs' = 'this_run', isLastCheck = false, act = under.act) {
  return act.checkCommands({ runId, of, isLastCheck, ...SCHEDULED });
}

async function plant(fault: FaultRule['fault'], { shop }: Group, times = 99, route = PUT): Promise<void> {
  await under.allegro.admin.plantFault({ match: { route, sellerId: shop.seller, times }, fault });
}

async function statesOf(runId: RunId): Promise<string[]> {
  const rows = await under.db.selectFrom('offerChanges').select('state').where('runId', '=', runId).execute();
  return [...new Set(rows.map(({ state }) => state))].sort();
}

async function commandStates(runId: RunId): Promise<string[]> {
  const rows = await under.db.selectFrom('commands').select('state').where('runId', '=', runId).execute();
  return rows.map(({ state }) => state).sort();
}

test('a lower number overtakes a command at work, and stays pending until that has ended and the offer was read', async () => {
  const group = await aShop(8);
  const [sku = ''] = group.skus;
  const offerId = first(group.offerIds);
  await plant({ kind: 'stall' }, group, 1);
  const one = await planned(group);
  await under.act.submitCommand({ runId: one.runId, commandId: only(one.commandIds), ...SCHEDULED });
  await check(one.runId, 'this_run', true);
  await stock(under, { [sku]: 3 });

  // It goes out at once, while the command is at work.
  const two = await group.shop.open();
  const result = await driveSync(under.act, { accountId: group.shop.accountId, runId: two });
  expect(await under.allegro.admin.offer(offerId)).toMatchObject({ available: 3 });
  expect(await changeOf(under.db, two, offerId)).toMatchObject({ state: 'unknown', reason: 'overtakes', valueSent: 3 });
  // Its number, and the same number for the others that the command has not reached yet.
  expect(result.buckets).toMatchObject({ pending: 6 });
  // A run that reads it meanwhile concludes nothing.
  await group.shop.scanned();
  expect(await changeOf(under.db, two, offerId)).toMatchObject({ state: 'unknown' });

  // The command lands after it.
  await under.allegro.admin.editOffer(offerId, { available: 8 });
  const tasks = group.offerIds.map((one) => ({ offerId: one, state: 'success' as const, code: null, message: null }));
  const marketplace: Marketplace = {
    ...under.services.marketplace,
    readQuantityCommand: () => Promise.resolve({ isKnown: true, isComplete: true, tasks }),
  };
  const last = await group.shop.open();
  const corrected = await driveSync(under.with({ marketplace }), { accountId: group.shop.accountId, runId: last });

  expect(await commandStates(one.runId)).toEqual(['complete']);
  expect(corrected.buckets).toMatchObject({ lowered: 1, pending: 0 });
  expect(await under.allegro.admin.offer(offerId)).toMatchObject({ available: 3 });
  expect(await changeOf(under.db, two, offerId)).toMatchObject({ state: 'superseded', reason: 'read_later' });
});

test('a command that was overtaken within its own run may still land: a raise waits until it has ended', async () => {
  const group = await aShop(8);
  const [sku = ''] = group.skus;
  const offerId = first(group.offerIds);
  await plant({ kind: 'cutBefore' }, group);
  const one = await planned(group);
  const commandId = only(one.commandIds);
  await failureClass(under.act.submitCommand({ runId: one.runId, commandId, ...SCHEDULED }));
  await stock(under, { [sku]: 4 });
  await under.allegro.admin.removeFaults();
  // The offer that has changed, and the others by a command of their own.
  await under.act.submitCommand({ runId: one.runId, commandId, ...SCHEDULED });
  const { phases } = await under.act.planWrites({ runId: one.runId });
  for (const batch of phases.flatMap(({ batches }) => batches)) {
    await under.act.updateOfferBatch({ runId: one.runId, batch, ...SCHEDULED });
  }
  expect(await commandStates(one.runId)).toEqual(['planned', 'sent']);
  // Nothing in this run waits for the one that was overtaken.
  expect(await check(one.runId)).toEqual({ open: 0, retry: [] });

  await stock(under, { [sku]: 30 });
  await group.shop.scanned();

  expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket: 'pending', reason: 'command_pending' });
});

test('one command without an answer ends no run: its offers go alone, all others are written', async () => {
  const group = await aShop(8);
  const others = Array.from({ length: 6 }, () => group.shop.sku());
  await stock(under, Object.fromEntries(others.map((sku) => [sku, 5])));
  await group.shop.offers(others.map((externalId) => ({ externalId, available: 10 })));
  await under.allegro.admin.plantFault({
    match: { route: PUT, sellerId: group.shop.seller, offerId: first(group.offerIds) },
    fault: { kind: 'status', status: 503 },
  });
  const runId = await group.shop.open();

  const result = await driveSync(under.act, { accountId: group.shop.accountId, runId });

  expect(result).toMatchObject({ outcome: 'in_sync', failure: null });
  expect(result.buckets).toMatchObject({ lowered: 12, pending: 0, failed: 0 });
  // It may have arrived: the next run asks for it.
  expect(await commandStates(runId)).toEqual(['complete', 'sent']);
});

test('what a crash leaves between two commands is tried again: the rows tell', async () => {
  const group = await aShop(8);
  const { runId, commandIds } = await planned(group);
  await under.act.submitCommand({ runId, commandId: only(commandIds), ...SCHEDULED });
  const busy = first(group.offerIds);
  const report: CommandReport = {
    isKnown: true,
    isComplete: true,
    tasks: group.offerIds.map((offerId) =>
      offerId === busy
        ? { offerId, state: 'fail', code: 'OFFER_SERVICE_ERROR', message: 'x', errorType: 'OfferConflict' }
        : { offerId, state: 'success', code: null, message: null },
    ),
  };
  const marketplace: Marketplace = {
    ...under.services.marketplace,
    readQuantityCommand: () => Promise.resolve(report),
  };
  // The worker is lost after the command was settled, before its answer was reported.
  await check(runId, 'this_run', false, under.with({ marketplace }));

  expect(await check(runId)).toEqual({ open: 0, retry: [busy] });
  await under.act.updateOfferStock({ runId, offerId: busy, maxAttempts: 4, ...SCHEDULED });
  expect(await check(runId)).toEqual({ open: 0, retry: [] });
  expect(await changeOf(under.db, runId, busy)).toMatchObject({ state: 'confirmed', attempts: 2 });
});

test('an id that stands for other content is told as a fault of the program, and its offers go alone', async () => {
  const group = await aShop(8);
  const { runId, commandIds } = await planned(group);
  const commandId = toCommandId(only(commandIds));
  const other = first(group.offerIds);
  const call = { accountId: group.shop.accountId, ...SCHEDULED };
  await under.services.marketplace.submitQuantityCommand(call, { commandId, quantity: 9, offerIds: [other] });

  expect(await under.act.submitCommand({ runId, commandId, ...SCHEDULED })).toEqual({
    isSent: false,
  });

  const incident = await under.db
    .selectFrom('incidents')
    .select(['class', 'title'])
    .where('accountId', '=', group.shop.accountId)
    .executeTakeFirstOrThrow();
  expect(incident).toMatchObject({ class: 'ProgramFault' });
  expect(incident.title).toContain('fault of this program');
  const { phases } = await under.act.planWrites({ runId });
  expect(phases).toMatchObject([{ kind: 'lower', commandIds: [], batches: [1] }]);
});

test('"already used" is not taken for accepted before the report names our offers', async () => {
  const group = await aShop(8);
  const { runId, commandIds } = await planned(group);
  const foreign = toOfferId('7999999999');
  let isThere = false;
  const marketplace: Marketplace = {
    ...under.services.marketplace,
    submitQuantityCommand: () => Promise.resolve({ kind: 'already_used' }),
    readQuantityCommand: () =>
      Promise.resolve({
        isKnown: true,
        isComplete: isThere,
        tasks: isThere ? [{ offerId: foreign, state: 'success', code: null, message: null }] : [],
      }),
  };
  const act = under.with({ marketplace });

  await act.submitCommand({ runId, commandId: only(commandIds), ...SCHEDULED });
  expect(await commandStates(runId)).toEqual(['sent']);
  isThere = true;
  await check(runId, 'this_run', false, act);

  expect(await statesOf(runId)).toEqual(['unknown']);
  const { class: told } = await under.db
    .selectFrom('incidents')
    .select('class')
    .where('accountId', '=', group.shop.accountId)
    .executeTakeFirstOrThrow();
  expect(told).toBe('ProgramFault');
});

test.each(['RateLimited', 'WritesStopped'] as const)(
  '%s before a command: nothing is on its way, no later run has to look for it',
  async (type) => {
    const group = await aShop(8);
    const { runId, commandIds } = await planned(group);
    const commandId = only(commandIds);
    const refusing: Marketplace = {
      ...under.services.marketplace,
      submitQuantityCommand: () => Promise.reject(new SyncError(type, 'not now')),
    };

    const sending = under.with({ marketplace: refusing }).submitCommand({ runId, commandId, ...SCHEDULED });
    expect(await failureClass(sending)).toBe(type);

    expect(await statesOf(runId)).toEqual(['planned']);
    expect(await commandStates(runId)).toEqual(['planned']);
    const start = await journalEnd(under);
    await group.shop.scanned();
    const requests = await requestsSince(under, start, group.shop.seller);
    expect(requests.map(({ route }) => route)).toEqual(['/sale/offers']);
  },
);
