import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Marketplace } from '../../../src/domain/marketplace.js';
import { renderText } from '../../../src/notifications/render.js';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
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

/** Danger: what is done, and told, when a number cannot be brought down; and batches that are stopped in the middle. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(async () => {
  await under.allegro.admin.removeFaults();
  await under.allegro.admin.changeSettings({ operationRetryAfterS: 0 });
});
afterAll(() => under.close());

const PATCH = 'PATCH /sale/product-offers/{offerId}';
const SCHEDULED = { priority: 'scheduled' } as const;
const CONFLICT = { errors: [{ code: 'OfferConflictException', message: 'still at work' }] };

type Fields = NonNullable<Parameters<Shop['offer']>[0]>;

/** One offer that shows 10 pieces. */
async function anOffer(shop: Shop, pieces: number, fields: Fields = {}): Promise<OfferId> {
  const sku = shop.sku();
  await stock(under, { [sku]: pieces });
  return shop.offer({ externalId: sku, available: 10, ...fields });
}

async function sync(shop: Shop) {
  const runId = await shop.open();
  return { runId, result: await driveSync(under.act, { accountId: shop.accountId, runId }) };
}

async function batchOf(runId: RunId): Promise<number> {
  const { phases } = await under.act.planWrites({ runId });
  const batches = phases.flatMap((phase) => phase.batches);
  expect(batches).toHaveLength(1);
  return batches[0] ?? 0;
}

async function plant(fault: FaultRule['fault'], offerId: OfferId, route = PATCH): Promise<void> {
  await under.allegro.admin.plantFault({ match: { route, offerId }, fault });
}

async function endsByCommand(shop: Shop, offerId: OfferId): Promise<void> {
  const { result } = await sync(shop);

  expect(result.buckets).toMatchObject({ ended: 1 });
  expect(await under.allegro.admin.offer(offerId)).toMatchObject({ status: 'ENDED', endedBy: 'USER' });
}

describe('an offer that has to go to 0 and cannot be set', () => {
  test.each(['sync', 'async'] as const)('refused (%s): it is ended by a publication command', async (mode) => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 0, { rejection: { commands: true, mode } });

    await endsByCommand(shop, offerId);
    expect((await memoryOf(under.db, offerId)).endedByUsAt).not.toBeNull();
  });

  test('forbidden: the same', async () => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 0);
    await plant({ kind: 'status', status: 403 }, offerId);

    await endsByCommand(shop, offerId);
  });

  test('not readable, and with a write of which nobody knows the outcome: the same', async () => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 12);
    await plant({ kind: 'status', status: 503 }, offerId);
    await sync(shop);
    expect(await under.allegro.admin.offer(offerId)).toMatchObject({ available: 10 });
    await under.allegro.admin.removeFaults();
    await plant({ kind: 'status', status: 500 }, offerId, 'GET /sale/product-offers/{offerId}');
    await stock(under, { [(await memoryOf(under.db, offerId)).sku ?? '']: 0 });

    await endsByCommand(shop, offerId);
  });

  test('a worker that sleeps when it is sent back takes it for refused no more', async () => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 0);
    const runId = await shop.scanned();
    await plant({ kind: 'status', status: 409, body: CONFLICT }, offerId);
    await under.act.updateOfferBatch({ runId, batch: await batchOf(runId), ...SCHEDULED });
    const reject = () => under.act.rejectOffer({ runId, offerId, errorClass: 'OfferConflict', message: 'used up' });
    await reject();

    await reject();

    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ route: 'end_command', state: 'planned' });
  });

  test('busy at every attempt: the same, as the last way', async () => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 0);
    await plant({ kind: 'status', status: 409, body: CONFLICT }, offerId);

    const { runId, result } = await sync(shop);

    expect(result.buckets).toMatchObject({ ended: 1 });
    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ route: 'end_command', state: 'confirmed' });
    expect(await under.allegro.admin.offer(offerId)).toMatchObject({ status: 'ENDED' });
  });

  test('refused as a number by PATCH and command before its stock fell to 0: it still has this way', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    const offerId = await shop.offer({ externalId: sku, available: 10, rejection: { commands: true } });
    const runId = await shop.scanned();
    await under.act.updateOfferBatch({ runId, batch: await batchOf(runId), ...SCHEDULED });
    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ route: 'command', errorClass: 'OfferRejected' });
    await stock(under, { [sku]: 0 });

    const { phases } = await under.act.planWrites({ runId });
    const [commandId = ''] = phases.flatMap(({ commandIds }) => commandIds);
    await under.act.submitCommand({ runId, commandId, ...SCHEDULED });
    await under.act.updateOfferBatch({ runId, batch: await batchOf(runId), ...SCHEDULED });

    expect(await changeOf(under.db, runId, offerId)).toMatchObject({
      kind: 'end',
      route: 'end_command',
      state: 'planned',
    });
  });
});

test('what could not be brought down is told first, with the pieces at risk, the most first', async () => {
  const shop = await under.shop();
  const raised = await anOffer(shop, 20, { rejection: { commands: true } });
  const lowered = await anOffer(shop, 4, { rejection: { commands: true } });
  const ended = await anOffer(shop, 0, { rejection: { commands: true, endings: true } });

  const { result } = await sync(shop);

  expect(result.buckets).toMatchObject({ failed: 3 });
  expect(await under.allegro.admin.offer(lowered)).toMatchObject({ status: 'ACTIVE', available: 10 });
  expect(await under.allegro.admin.offer(ended)).toMatchObject({ status: 'ACTIVE', available: 10 });
  const { message } = await under.db
    .selectFrom('outbox')
    .select('message')
    .where('dedupeKey', 'like', 'run/%/offer_failures')
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow();
  expect(message).toMatchObject({
    accountId: shop.accountId,
    failures: [
      { offerId: ended, piecesAtRisk: 10, target: 0 },
      { offerId: lowered, piecesAtRisk: 6, target: 4 },
      { offerId: raised, target: 20 },
    ],
  });
  const text = renderText(message as unknown as Parameters<typeof renderText>[0]);
  const risks = text.split('\n').filter((line) => line.includes('Oversell risk'));
  expect(risks).toEqual([expect.stringContaining('10 pieces'), expect.stringContaining('6 pieces')]);
  expect(text.indexOf('Oversell risk')).toBeLessThan(text.indexOf('SKU'));
});

describe('a batch that is stopped in the middle', () => {
  test.each(['RateLimited', 'WritesStopped'] as const)(
    '%s: the rows tell what is done; nothing is sent twice and nothing lost',
    async (type) => {
      const shop = await under.shop();
      const offerIds: OfferId[] = [];
      for (let index = 0; index < 12; index += 1) offerIds.push(await anOffer(shop, 20 + index));
      const runId = await shop.scanned();
      const batch = await batchOf(runId);
      let writes = 0;
      const marketplace: Marketplace = {
        ...under.services.marketplace,
        writeOffer: (call, offerId, write) => {
          writes += 1;
          return writes > 5
            ? Promise.reject(new SyncError(type, 'not now', { retryInMs: 1 }))
            : under.services.marketplace.writeOffer(call, offerId, write);
        },
      };
      const start = await journalEnd(under);

      const stopped = under.with({ marketplace }).updateOfferBatch({ runId, batch, ...SCHEDULED });
      if (type === 'RateLimited') expect(await stopped).toMatchObject({ retry: [], wait: { ms: 1 } });
      else expect(await failureClass(stopped)).toBe(type);
      const rows = await under.db.selectFrom('offerChanges').selectAll().where('runId', '=', runId).execute();
      const written = (await requestsSince(under, start, shop.seller)).length;
      expect(rows.filter(({ state }) => state === 'confirmed')).toHaveLength(written);
      expect(rows.filter(({ state, valueSent }) => state === 'planned' && valueSent === null)).toHaveLength(
        12 - written,
      );

      expect(await under.act.updateOfferBatch({ runId, batch, ...SCHEDULED })).toMatchObject({ retry: [] });
      const requests = await requestsSince(under, start, shop.seller);
      expect(requests.map(({ method }) => method)).toEqual(offerIds.map(() => 'PATCH'));
      expect(new Set(requests.flatMap((request) => request.offerIds)).size).toBe(12);
    },
  );
});

describe('an accepted write', () => {
  test('of a lost worker is known for the ending that it was', async () => {
    for (const republish of [true, false]) {
      const shop = await under.shop();
      const offerId = await anOffer(shop, 0, { republish });
      const runId = await shop.scanned();
      const batch = await batchOf(runId);
      const lost: Marketplace = {
        ...under.services.marketplace,
        writeOffer: async (call, id, write) => {
          const answer = await under.services.marketplace.writeOffer(call, id, write);
          // Any edit may be answered 202.
          return answer.kind === 'accepted'
            ? answer
            : { ...answer, kind: 'accepted', operation: '/sale/x', pollInMs: 1 };
        },
        checkOperation: () => Promise.reject(new SyncError('DependencyUnavailable', 'the worker is lost')),
      };
      await failureClass(under.with({ marketplace: lost }).updateOfferBatch({ runId, batch, ...SCHEDULED }));
      const done: Marketplace = {
        ...under.services.marketplace,
        checkOperation: () => Promise.resolve({ kind: 'done' }),
      };

      await under.with({ marketplace: done }).updateOfferBatch({ runId, batch, ...SCHEDULED });

      const memory = await memoryOf(under.db, offerId);
      expect(memory.endedByUsAt === null).toBe(!republish);
      expect(memory.knownAvailable).toBe(republish ? 10 : 0);
    }
  });

  test('is asked for no sooner than Allegro wishes; one that takes longer than a batch waits is asked for later', async () => {
    const shop = await under.shop();
    const offerId = await anOffer(shop, 4);
    const runId = await shop.scanned();
    const batch = await batchOf(runId);
    const slow: Marketplace = {
      ...under.services.marketplace,
      writeOffer: () => Promise.resolve({ kind: 'accepted', operation: '/sale/x', pollInMs: 3_600_000, traceId: null }),
      checkOperation: () => Promise.reject(new Error('asked too soon')),
    };

    const result = await under.with({ marketplace: slow }).updateOfferBatch({ runId, batch, ...SCHEDULED });

    expect(result).toEqual({ retry: [offerId], settled: 0 });
    expect(await changeOf(under.db, runId, offerId)).toMatchObject({
      state: 'sending',
      operation: '/sale/x',
      attempts: 0,
    });
  });
});

describe('approvals', () => {
  test('are used when the change is marked: a run that ends there leaves none to be used again', async () => {
    const shop = await under.shop();
    const skus = Array.from({ length: 11 }, () => shop.sku());
    await stock(under, Object.fromEntries(skus.map((sku) => [sku, 0])));
    await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
    const held = await sync(shop);
    expect(held.result.held).toEqual({ guard: 11 });
    await approveHeldChanges(under.db, shop.accountId, held.runId);
    const runId = await shop.scanned();
    await under.act.checkGuards({ runId });
    const batch = await batchOf(runId);
    const unused = async (): Promise<number> =>
      (
        await under.db
          .selectFrom('approvals')
          .select('id')
          .where('accountId', '=', shop.accountId)
          .where('usedAt', 'is', null)
          .execute()
      ).length;
    const stopped: Marketplace = {
      ...under.services.marketplace,
      writeOffer: () => Promise.reject(new SyncError('WritesStopped', 'stopped')),
    };

    // What did not leave has used none.
    await failureClass(under.with({ marketplace: stopped }).updateOfferBatch({ runId, batch, ...SCHEDULED }));
    expect(await unused()).toBe(11);
    await under.act.updateOfferBatch({ runId, batch, ...SCHEDULED });

    // The run is terminated here: nobody closes it.
    expect(await unused()).toBe(0);
  });
});
