import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import type { Activities, MarketplaceActivities } from '../../../src/activities/index.js';
import type { BulkModification } from '../../../src/domain/bulk-modification.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import {
  changeOf,
  failureClass,
  journalEnd,
  requestsSince,
  setUpActivities,
  stock,
  SYNC,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;
let act: Activities & MarketplaceActivities;

const ON = { ...SYNC, bulkModification: true };
const POST = 'POST /sale/offer-bulk-modification-commands';

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
  act = under.with({ sync: ON });
});
afterEach(async () => {
  await under.allegro.admin.removeFaults();
  await under.allegro.admin.changeSettings({ bulkModification: 'on', commandReplay: 'conflict' });
});
afterAll(() => under.close());

interface Planned {
  readonly shop: Shop;
  readonly skus: readonly string[];
  readonly offerIds: readonly OfferId[];
  readonly runId: RunId;
  readonly commandId: string;
}

/** A shop whose offers show 100 pieces and are each to get a number of their own. */
async function aShop(count: number, fields: Parameters<Shop['offer']>[0] = {}) {
  const shop = await under.shop();
  const skus = Array.from({ length: count }, () => shop.sku());
  await stock(under, Object.fromEntries(skus.map((sku, index) => [sku, 20 + index])));
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: 100, ...fields })));
  return { shop, skus, offerIds };
}

async function planned(count = 12, fields: Parameters<Shop['offer']>[0] = {}): Promise<Planned> {
  const made = await aShop(count, fields);
  const runId = await made.shop.scanned();
  const { phases } = await act.planWrites({ runId });
  const commandIds = phases.flatMap((phase) => phase.commandIds);
  expect(phases.flatMap((phase) => phase.batches)).toEqual([]);
  expect(commandIds).toHaveLength(1);
  return { ...made, runId, commandId: commandIds[0] ?? '' };
}

function submit({ runId, commandId }: Planned, activities = act) {
  return activities.submitCommand({ runId, commandId, priority: 'scheduled' });
}

async function settled({ runId }: Pick<Planned, 'runId'>, activities = act) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const result = await activities.checkCommands({ runId, of: 'this_run', priority: 'scheduled', isLastCheck: false });
    if (result.open === 0) return result;
    if (Date.now() > deadline) throw new Error('the command does not end');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Plans again and sends what goes alone. */
async function sendAlone({ runId }: Pick<Planned, 'runId'>, activities = act): Promise<void> {
  const { phases } = await activities.planWrites({ runId });
  expect(phases.flatMap((phase) => phase.commandIds)).toEqual([]);
  for (const batch of phases.flatMap((phase) => phase.batches)) {
    await act.updateOfferBatch({ runId, batch, priority: 'scheduled' });
  }
}

async function rowsOf({ runId }: Pick<Planned, 'runId'>) {
  return under.db.selectFrom('offerChanges').selectAll().where('runId', '=', runId).orderBy('offerId').execute();
}

async function statesOf(change: Pick<Planned, 'runId'>): Promise<string[]> {
  return [...new Set((await rowsOf(change)).map(({ state }) => state))].sort();
}

async function commandState(commandId: string): Promise<string> {
  const row = await under.db.selectFrom('commands').select('state').where('id', '=', commandId).executeTakeFirst();
  return row?.state ?? 'gone';
}

async function writesSince(since: number, { shop }: { shop: Shop }) {
  const requests = await requestsSince(under, since, shop.seller);
  return requests.filter(({ method }) => method !== 'GET');
}

async function plant(fault: FaultRule['fault'], { shop }: Planned, route = POST, times = 1): Promise<void> {
  await under.allegro.admin.plantFault({ match: { route, sellerId: shop.seller, times }, fault });
}

function ourBulk(): BulkModification {
  const { bulk } = under.services.marketplace;
  if (bulk === null) throw new Error('no bulk modification');
  return bulk;
}

describe('a run with the switch on', () => {
  test('different numbers go 25 at a time, a few left over alone: far fewer requests than offers', async () => {
    const { shop, skus, offerIds } = await aShop(52);
    const start = await journalEnd(under);

    const result = await driveSync(act, { accountId: shop.accountId, runId: await shop.open() });

    expect(result.buckets).toMatchObject({ lowered: 52 });
    const writes = await writesSince(start, { shop });
    expect(writes.map(({ method, offerIds: named }) => `${method} ${named.length}`).sort()).toEqual([
      'PATCH 1',
      'PATCH 1',
      'POST 25',
      'POST 25',
    ]);
    const offers = await Promise.all(offerIds.map((offerId) => under.allegro.admin.offer(offerId)));
    expect(offers.map(({ available }) => available)).toEqual(skus.map((_, index) => 20 + index));
    expect((await under.allegro.admin.report()).harmfulWrites.total).toBe(0);
  });

  test('with the switch off nothing of it happens', async () => {
    const { shop } = await aShop(12);
    const start = await journalEnd(under);

    const result = await driveSync(under.act, { accountId: shop.accountId, runId: await shop.open() });

    expect(result.buckets).toMatchObject({ lowered: 12 });
    expect(new Set((await writesSince(start, { shop })).map(({ method }) => method))).toEqual(new Set(['PATCH']));
  });
});

describe('sending', () => {
  test('id and the number of each offer are stored before the command is sent', async () => {
    const change = await planned();
    const seen: unknown[] = [];
    const watching: BulkModification = {
      ...ourBulk(),
      submit: async (call, command) => {
        const { state, offerIds, quantities } = await under.db
          .selectFrom('commands')
          .selectAll()
          .where('id', '=', command.commandId)
          .executeTakeFirstOrThrow();
        seen.push(state, offerIds, quantities, await statesOf(change));
        return ourBulk().submit(call, command);
      },
    };

    await submit(change, under.with({ sync: ON, marketplace: { ...under.services.marketplace, bulk: watching } }));

    const numbers = change.offerIds.map((_, index) => 20 + index);
    expect(seen).toEqual(['sent', change.offerIds, numbers, ['sending']]);
    await settled(change);
    expect(await statesOf(change)).toEqual(['confirmed']);
  });

  test('a lost answer is followed by the same id and content', async () => {
    const change = await planned();
    await plant({ kind: 'cutAfter' }, change);
    const start = await journalEnd(under);

    expect(await failureClass(submit(change))).toBe('OutcomeUnknown');
    expect(await submit(change)).toEqual({ isSent: true });
    await settled(change);

    const [first, second, ...more] = await writesSince(start, change);
    expect(more).toEqual([]);
    expect(second?.values).toEqual(first?.values);
    expect(second?.offerIds).toEqual(first?.offerIds);
    expect((await rowsOf(change)).map(({ state, valueSent }) => [state, valueSent])).toEqual(
      change.offerIds.map((_, index) => ['confirmed', 20 + index]),
    );
    expect((await under.allegro.admin.report()).clientMistakes).not.toHaveProperty(
      'command_id_reused_with_other_content',
    );
  });

  test('offers whose stock has changed since the plan leave it; one that fell to 0 is ended alone', async () => {
    const change = await planned();
    const [zero = '', other = '', gone = ''] = change.skus;
    await stock(under, { [zero]: 0, [other]: 7 });
    await under.db.deleteFrom('stockLevels').where('sku', '=', gone).execute();
    const start = await journalEnd(under);

    expect(await submit(change)).toEqual({ isSent: true });
    await settled(change);
    await sendAlone(change);

    const writes = await writesSince(start, change);
    const sent = writes.map(({ method, values }) => `${method} ${values.length === 1 ? values.join() : 'many'}`);
    expect(sent[0]).toBe('POST many');
    expect(sent.slice(1).sort()).toEqual(['PATCH 0', 'PATCH 7']);
    expect(writes[0]?.offerIds).toEqual(change.offerIds.slice(3));
    expect(await statesOf(change)).toEqual(['confirmed', 'superseded']);
  });

  test('a run that has been overtaken sends nothing', async () => {
    const change = await planned();
    await change.shop.open();
    const start = await journalEnd(under);

    expect(await failureClass(submit(change))).toBe('Superseded');

    expect(await writesSince(start, change)).toEqual([]);
  });

  test.each(['WritesStopped', 'RateLimited'] as const)(
    '%s: nothing is on its way, and the same command goes out later',
    async (type) => {
      const change = await planned();
      const refusing: BulkModification = { ...ourBulk(), submit: () => Promise.reject(new SyncError(type, 'not now')) };
      const marketplace = { ...under.services.marketplace, bulk: refusing };

      expect(await failureClass(submit(change, under.with({ sync: ON, marketplace })))).toBe(type);

      expect(await commandState(change.commandId)).toBe('planned');
      expect((await rowsOf(change)).map(({ state, valueSent, attempts }) => [state, valueSent, attempts])).toEqual(
        change.offerIds.map(() => ['planned', null, 0]),
      );
      expect(await submit(change)).toEqual({ isSent: true });
      await settled(change);
      expect(await statesOf(change)).toEqual(['confirmed']);
    },
  );
});

describe('where it is not there', () => {
  test.each(['not-found', 'not-acceptable'] as const)(
    '%s: the offers go alone without an attempt counted, and the next runs do not ask again',
    async (bulkModification) => {
      await under.allegro.admin.changeSettings({ bulkModification });
      const change = await planned();

      expect(await submit(change)).toEqual({ isSent: false });
      expect((await rowsOf(change)).map(({ state, valueSent, attempts }) => [state, valueSent, attempts])).toEqual(
        change.offerIds.map(() => ['planned', null, 0]),
      );
      const start = await journalEnd(under);
      await sendAlone(change);
      expect((await rowsOf(change)).map(({ state, attempts }) => [state, attempts])).toEqual(
        change.offerIds.map(() => ['confirmed', 1]),
      );
      expect((await requestsSince(under, start, change.shop.seller)).map(({ method }) => method)).toEqual(
        change.offerIds.map(() => 'PATCH'),
      );

      await stock(under, Object.fromEntries(change.skus.map((sku, index) => [sku, 50 + index])));
      const next = await change.shop.scanned();
      expect((await act.planWrites({ runId: next })).phases.flatMap(({ commandIds }) => commandIds)).toEqual([]);
    },
  );

  test('after some hours it is asked again', async () => {
    await under.allegro.admin.changeSettings({ bulkModification: 'not-found' });
    const change = await planned();
    await submit(change);
    await under.db
      .updateTable('accounts')
      .set({ bulkRetryAt: new Date(Date.now() - 1_000) })
      .where('id', '=', change.shop.accountId)
      .execute();

    const next = await change.shop.scanned();

    expect((await act.planWrites({ runId: next })).phases.flatMap(({ commandIds }) => commandIds)).toHaveLength(1);
  });

  test('a command that is refused as such lets each offer be asked alone', async () => {
    const change = await planned();
    await plant(
      { kind: 'status', status: 422, body: { errors: [{ code: 'VALIDATION_ERROR', message: 'no' }] } },
      change,
    );

    expect(await submit(change)).toEqual({ isSent: false });
    await sendAlone(change);

    expect(await statesOf(change)).toEqual(['confirmed']);
    expect(await commandState(change.commandId)).toBe('failed');
  });

  test('switched off since the plan: the offers go alone; switched off since it was sent: its report is still asked for', async () => {
    const unsent = await planned();
    expect(await submit(unsent, under.act)).toEqual({ isSent: false });
    await sendAlone(unsent, under.act);
    expect(await statesOf(unsent)).toEqual(['confirmed']);

    const sent = await planned();
    await submit(sent);
    await settled(sent, under.act);
    expect(await statesOf(sent)).toEqual(['confirmed']);
  });
});

describe('reports', () => {
  test('an offer whose task failed is asked once more alone, and then rejected', async () => {
    const change = await planned(12, { rejection: { commands: true } });
    await submit(change);
    await settled(change);
    expect((await rowsOf(change)).map(({ state, route, attempts }) => [state, route, attempts])).toEqual(
      change.offerIds.map(() => ['planned', 'patch', 1]),
    );

    await sendAlone(change);

    expect((await rowsOf(change)).map(({ state, attempts }) => [state, attempts])).toEqual(
      change.offerIds.map(() => ['rejected', 2]),
    );
    expect((await act.planWrites({ runId: change.runId })).phases).toEqual([]);
  });

  test('beyond patience its offers are pending; the next run settles them first, each with its own number', async () => {
    const change = await planned();
    await plant({ kind: 'stall', ms: 1_500 }, change);
    await submit(change);
    const lastCheck = { of: 'this_run', priority: 'scheduled', isLastCheck: true } as const;

    expect(await act.checkCommands({ runId: change.runId, ...lastCheck })).toMatchObject({ open: 1 });
    expect(await statesOf(change)).toEqual(['unknown']);

    await under.allegro.admin.waitForRequest({ route: POST, phase: 'applied', sellerId: change.shop.seller });
    const runId = await change.shop.open();
    await act.checkCommands({ ...lastCheck, runId, of: 'earlier_runs' });
    expect(await statesOf(change)).toEqual(['confirmed']);
    const [first] = change.offerIds;
    if (first === undefined) throw new Error('no offers');
    expect(await changeOf(under.db, change.runId, first)).toMatchObject({ answer: { available: 20 }, valueSent: 20 });
  });
});
