import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { waitUntil } from '../../../src/local/wait-until.js';
import type { FaultRule } from '../../../simulator/faults.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Marketplace, OfferWrite } from '../../../src/domain/marketplace.js';
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

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const PATCH = 'PATCH /sale/product-offers/{offerId}';
const READ = 'GET /sale/product-offers/{offerId}';

/** One offer that differs, planned; its only batch. */
interface Planned {
  readonly shop: Shop;
  readonly sku: string;
  readonly offerId: OfferId;
  readonly runId: RunId;
  readonly batch: number;
}

type OfferFields = Parameters<Shop['offer']>[0];

async function planned(pieces: number, fields: OfferFields = {}): Promise<Planned> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: pieces });
  const offerId = await shop.offer({ externalId: sku, available: 10, ...fields });
  const runId = await shop.scanned();
  return { shop, sku, offerId, runId, batch: await onlyBatch(runId) };
}

async function onlyBatch(runId: RunId): Promise<number> {
  const { phases } = await under.act.planWrites({ runId });
  const batches = phases.flatMap((phase) => phase.batches);
  expect(batches).toHaveLength(1);
  return batches[0] ?? 0;
}

function send({ runId, batch }: Planned, act = under.act) {
  return act.updateOfferBatch({ runId, batch, priority: 'scheduled' });
}

function again({ runId, offerId }: Planned, maxAttempts = 4) {
  return under.act.updateOfferStock({ runId, offerId, priority: 'scheduled', maxAttempts });
}

async function rowOf({ runId, offerId }: Planned) {
  return changeOf(under.db, runId, offerId);
}

async function writesSince(since: number, { shop }: Planned): Promise<(readonly number[])[]> {
  const requests = await requestsSince(under, since, shop.seller);
  return requests.filter(({ method }) => method !== 'GET').map(({ values }) => values);
}

async function routesSince(since: number, { shop }: Planned): Promise<string[]> {
  return (await requestsSince(under, since, shop.seller)).map(({ method, route }) => `${method} ${route}`);
}

async function plant(route: string, fault: FaultRule['fault'], { shop }: Planned, times?: number): Promise<void> {
  await under.allegro.admin.plantFault({
    match: { route, sellerId: shop.seller, ...(times === undefined ? {} : { times }) },
    fault,
  });
}

describe('one attempt', () => {
  test('a number is sent with one request, and its answer confirms it', async () => {
    const change = await planned(4);
    const start = await journalEnd(under);

    expect(await send(change)).toEqual({ retry: [], settled: 1 });

    expect(await routesSince(start, change)).toEqual([PATCH]);
    expect(await rowOf(change)).toMatchObject({
      state: 'confirmed',
      kind: 'lower',
      valueBefore: 10,
      valueSent: 4,
      attempts: 1,
      answer: { available: 4 },
    });
    expect(await memoryOf(under.db, change.offerId)).toMatchObject({
      knownAvailable: 4,
      beforeWrite: 10,
      beforeWriteStatus: null,
    });
  });

  test('without permits for all, what was sent is settled and the rest is told to wait, then sent once', async () => {
    const shop = await under.shop();
    const skus = Array.from({ length: 8 }, () => shop.sku());
    await stock(under, Object.fromEntries(skus.map((sku, index) => [sku, 1 + index])));
    const offers = await shop.offers(skus.map((sku) => ({ externalId: sku, available: 20 })));
    const runId = await shop.scanned();
    const batch = { runId, batch: await onlyBatch(runId), priority: 'scheduled' } as const;
    const start = await journalEnd(under);
    let permits = 3;
    const scarce: Marketplace = {
      ...under.services.marketplace,
      writeOffer(call, offerId, write) {
        permits -= 1;
        if (permits >= 0) return under.services.marketplace.writeOffer(call, offerId, write);
        return Promise.reject(new SyncError('RateLimited', 'full', { retryInMs: 4_000 }));
      },
    };

    const first = await under.with({ marketplace: scarce }).updateOfferBatch(batch);
    expect(first).toEqual({ retry: [], settled: 3, wait: { ms: 4_000, why: 'full' } });
    expect(await under.act.updateOfferBatch(batch)).toEqual({ retry: [], settled: 5 });

    const written = (await requestsSince(under, start, shop.seller)).filter(({ method }) => method === 'PATCH');
    expect(written).toHaveLength(8);
    for (const offerId of offers)
      expect(await changeOf(under.db, runId, offerId)).toMatchObject({ state: 'confirmed' });
  });

  test('the stock is read again before the send: what it asks for now is sent', async () => {
    const change = await planned(4);
    await stock(under, { [change.sku]: 7 });
    const start = await journalEnd(under);

    await send(change);

    expect(await writesSince(start, change)).toEqual([[7]]);
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', target: 7, valueSent: 7 });
  });

  test('what has become unnecessary is not sent', async () => {
    const change = await planned(4);
    await stock(under, { [change.sku]: 10 });
    const start = await journalEnd(under);

    expect(await send(change)).toEqual({ retry: [], settled: 1 });

    expect(await routesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'in_sync', reason: 'became_unnecessary', attempts: 0 });
  });

  test('an offer whose stock row has gone meanwhile is left alone', async () => {
    const change = await planned(0);
    await under.db.deleteFrom('stockLevels').where('sku', '=', change.sku).execute();
    const start = await journalEnd(under);

    await send(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'superseded', reason: 'skipped:unknown_sku' });
  });

  test('an offer that has got another SKU meanwhile is left alone', async () => {
    const change = await planned(0);
    await under.allegro.admin.editOffer(change.offerId, { externalId: 'another' });
    const start = await journalEnd(under);

    await send(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'superseded' });
  });

  test('a run that has been overtaken writes nothing, in any activity', async () => {
    const change = await planned(4);
    await change.shop.open();
    const start = await journalEnd(under);

    expect(await failureClass(send(change))).toBe('Superseded');
    expect(await failureClass(again(change))).toBe('Superseded');

    expect(await routesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'superseded', reason: 'run_ended' });
  });

  test('a run that is overtaken between its reading and its writing writes nothing', async () => {
    const change = await planned(0);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readOffer: async (call, offerId) => {
        const offer = await under.services.marketplace.readOffer(call, offerId);
        await change.shop.open();
        return offer;
      },
    };
    const start = await journalEnd(under);

    expect(await failureClass(send(change, under.with({ marketplace })))).toBe('Superseded');

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'superseded' });
  });
});

describe('endings and returns', () => {
  test('0 is sent after a look at the offer', async () => {
    const change = await planned(0);
    const start = await journalEnd(under);

    await send(change);

    expect(await routesSince(start, change)).toEqual([READ, PATCH]);
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', kind: 'end', valueSent: 0 });
    // Allegro calls it EMPTY_STOCK: nothing has to be remembered.
    expect(await memoryOf(under.db, change.offerId)).toMatchObject({ knownAvailable: 0, endedByUsAt: null });
  });

  test('an offer that would be relisted is ended by its status, polled to the end, and remembered as ours', async () => {
    const change = await planned(0, { republish: true });

    expect(await send(change)).toEqual({ retry: [], settled: 1 });

    expect(await under.allegro.admin.offer(change.offerId)).toMatchObject({ status: 'ENDED', available: 10 });
    const memory = await memoryOf(under.db, change.offerId);
    expect(memory).toMatchObject({ knownAvailable: 10 });
    expect(memory.endedByUsAt).not.toBeNull();

    // It comes back when there is stock again; after that, an ending by the seller is the seller's.
    await stock(under, { [change.sku]: 5 });
    const back = await change.shop.scanned();
    await under.act.updateOfferBatch({ runId: back, batch: await onlyBatch(back), priority: 'scheduled' });
    expect(await under.allegro.admin.offer(change.offerId)).toMatchObject({ status: 'ACTIVE', available: 5 });
    await under.allegro.admin.editOffer(change.offerId, { status: 'ENDED' });

    const later = await change.shop.scanned();

    expect(await memoryOf(under.db, change.offerId)).toMatchObject({
      lastRunId: later,
      bucket: 'skipped',
      reason: 'ended_by_other',
    });
  });

  test('an ending whose answer was lost with its run is still known as ours', async () => {
    const change = await planned(0, { republish: true });
    await plant(PATCH, { kind: 'cutAfter' }, change, 1);
    await send(change);
    await under.allegro.admin.waitForRequest({ route: PATCH, phase: 'applied', sellerId: change.shop.seller });

    await change.shop.scanned();
    await stock(under, { [change.sku]: 5 });
    const back = await change.shop.scanned();

    expect(await changeOf(under.db, back, change.offerId)).toMatchObject({ kind: 'reactivate', target: 5 });
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', reason: 'read_later' });
  });

  test('an offer comes back in one PATCH with stock and status', async () => {
    const change = await planned(6, { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const start = await journalEnd(under);

    expect(await send(change)).toEqual({ retry: [], settled: 1 });

    const routes = await routesSince(start, change);
    expect(routes.slice(0, 2)).toEqual([READ, PATCH]);
    expect(routes.filter((route) => route === PATCH)).toHaveLength(1);
    expect(await under.allegro.admin.offer(change.offerId)).toMatchObject({ status: 'ACTIVE', available: 6 });
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', kind: 'reactivate', operation: null });
  });

  test('an offer whose stock is 0 again stays ended', async () => {
    const change = await planned(6, { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    await stock(under, { [change.sku]: 0 });
    const start = await journalEnd(under);

    await send(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'in_sync' });
  });

  test('an offer that the seller has ended since the scan is left alone', async () => {
    const change = await planned(0);
    await stock(under, { [change.sku]: 3 });
    await under.allegro.admin.editOffer(change.offerId, { status: 'ENDED' });
    const start = await journalEnd(under);

    await send(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'superseded', reason: 'skipped:ended_by_other' });
  });
});

describe('answers that were lost', () => {
  test.each<[string, FaultRule['fault']]>([
    ['before it was applied', { kind: 'cutBefore' }],
    ['after it was applied', { kind: 'cutAfter' }],
    ['with a server error after it was applied', { kind: 'status', status: 503, applied: true }],
  ])('a write whose answer was lost %s comes right with the next attempt', async (_when, fault) => {
    const change = await planned(4);
    await plant(PATCH, fault, change, 1);

    expect(await send(change)).toEqual({ retry: [change.offerId], settled: 0 });
    expect(await rowOf(change)).toMatchObject({ state: 'sending', attempts: 1, errorClass: 'OutcomeUnknown' });
    await again(change);

    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', attempts: 2, errorClass: null });
    expect(await under.allegro.admin.offer(change.offerId)).toMatchObject({ available: 4 });
  });

  test('a batch that is begun again after a crash repeats no attempt that was counted', async () => {
    const change = await planned(4);
    await plant(PATCH, { kind: 'cutAfter' }, change, 1);
    await send(change);
    const start = await journalEnd(under);

    expect(await send(change)).toEqual({ retry: [change.offerId], settled: 0 });

    expect(await routesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ attempts: 1 });
  });

  test('another number after a lost answer stays pending until a later run has read it', async () => {
    const change = await planned(4);
    await plant(PATCH, { kind: 'cutAfter' }, change, 1);
    await send(change);
    await stock(under, { [change.sku]: 3 });

    await again(change);
    expect(await rowOf(change)).toMatchObject({
      state: 'unknown',
      reason: 'overtakes',
      valueSent: 3,
      sentBefore: [4],
    });

    await change.shop.scanned();
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', reason: 'read_later' });
  });

  test('a raise whose offer has sold since is held, and stays so in the next run', async () => {
    const change = await planned(20);
    await plant(PATCH, { kind: 'cutAfter' }, change, 1);
    await send(change);
    await under.allegro.admin.sell({ offerId: change.offerId, quantity: 2 });
    const start = await journalEnd(under);

    await again(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'held', reason: 'unbooked_sale' });
    const next = await change.shop.scanned();
    expect(await changeOf(under.db, next, change.offerId)).toMatchObject({ state: 'held', reason: 'unbooked_sale' });
  });

  test.each([
    { how: 'a zero', fields: {}, endedBy: 'EMPTY_STOCK' },
    { how: 'its status', fields: { republish: true }, endedBy: 'USER' },
  ])('an offer that we have ended by $how is known as ours, though its return had no answer either', async (one) => {
    const change = await planned(0, one.fields);
    await plant(PATCH, { kind: 'cutAfter' }, change, 1);
    const { endingDelayMs } = await under.allegro.admin.settings();
    await under.allegro.admin.changeSettings({ endingDelayMs: 0 });
    await send(change);
    await under.allegro.admin.changeSettings({ endingDelayMs });
    const hasEnded = async () => (await under.allegro.admin.offer(change.offerId)).endedBy === one.endedBy;
    expect(await waitUntil(hasEnded, 5_000)).toBe(true);
    await stock(under, { [change.sku]: 7 });
    await plant(PATCH, { kind: 'cutBefore' }, change, 1);
    await again(change).catch(() => undefined);
    await stock(under, { [change.sku]: 8 });

    const next = await change.shop.scanned();

    expect(await changeOf(under.db, next, change.offerId)).toMatchObject({
      kind: 'reactivate',
      state: 'planned',
      target: 8,
    });
  });

  test.each([
    { is: 'has ended', endingDelayMs: 0 },
    { is: 'is being ended', endingDelayMs: 600_000 },
  ])('an offer that sold out between scan and retry and $is is not put up again for it', async ({ endingDelayMs }) => {
    const change = await planned(20, { available: 2 });
    await plant(PATCH, { kind: 'status', status: 503 }, change, 1);
    await send(change);
    const before = await under.allegro.admin.settings();
    await under.allegro.admin.changeSettings({ endingDelayMs });
    await under.allegro.admin.sell({ offerId: change.offerId, quantity: 2 });
    await under.allegro.admin.changeSettings({ endingDelayMs: before.endingDelayMs });
    const start = await journalEnd(under);

    await again(change);

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'held', reason: 'unbooked_sale' });
  });

  test('an answer that shows another number is checked by reading', async () => {
    const change = await planned(4);
    const sold: Marketplace = {
      ...under.services.marketplace,
      writeOffer: async (call, offerId, write) => ({
        ...(await under.services.marketplace.writeOffer(call, offerId, write)),
        kind: 'applied',
        available: 9,
      }),
    };

    expect(await send(change, under.with({ marketplace: sold }))).toEqual({ retry: [], settled: 1 });
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', answer: { available: 4 } });
  });

  test('an answer of another number that reading confirms is another attempt', async () => {
    const change = await planned(4);
    const writes: OfferWrite[] = [];
    const deaf: Marketplace = {
      ...under.services.marketplace,
      writeOffer: (_call, _offerId, write) => {
        writes.push(write);
        return Promise.resolve({ kind: 'applied', available: 10, traceId: null });
      },
    };

    expect(await send(change, under.with({ marketplace: deaf }))).toEqual({ retry: [change.offerId], settled: 0 });
    expect(writes).toEqual([{ kind: 'quantity', quantity: 4 }]);
    expect(await rowOf(change)).toMatchObject({ state: 'sending', errorClass: 'OutcomeUnknown' });
  });

  test('an accepted write of a worker that was lost is asked for, not sent again', async () => {
    const change = await planned(6, { status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const lost: Marketplace = {
      ...under.services.marketplace,
      checkOperation: () => Promise.reject(new SyncError('DependencyUnavailable', 'the worker is lost')),
    };
    expect(await failureClass(send(change, under.with({ marketplace: lost })))).toBe('DependencyUnavailable');
    expect((await rowOf(change)).operation).not.toBeNull();
    const start = await journalEnd(under);

    expect(await send(change)).toEqual({ retry: [], settled: 1 });

    expect(await writesSince(start, change)).toEqual([]);
    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', attempts: 1 });
  });
});

describe('answers that are no success', () => {
  test('a conflict is another attempt; the last one is for the workflow to reject', async () => {
    const change = await planned(4);
    const busy = { code: 'OfferConflictException', message: 'still at work' };
    await plant(PATCH, { kind: 'status', status: 409, body: { errors: [busy] } }, change);

    await send(change);
    expect(await rowOf(change)).toMatchObject({ state: 'sending', attempts: 1, errorClass: 'OfferConflict' });
    await expect(again(change, 3)).rejects.toMatchObject({ type: 'OfferConflict', nonRetryable: false });
    await expect(again(change, 3)).rejects.toMatchObject({ type: 'OfferConflict', nonRetryable: true });
    expect(await rowOf(change)).toMatchObject({ state: 'sending', attempts: 3 });

    const { runId, offerId } = change;
    await under.act.rejectOffer({ runId, offerId, errorClass: 'OfferConflict', message: 'used up' });
    expect(await rowOf(change)).toMatchObject({ state: 'rejected', attempts: 3, errorCode: busy.code });
    expect(await under.db.selectFrom('quarantinedOffers').where('offerId', '=', offerId).selectAll().execute()).toEqual(
      [],
    );
  });

  test('a refused number is tried once as a command, and then rejected and quarantined', async () => {
    const change = await planned(4, { rejection: { commands: true } });

    expect(await send(change)).toEqual({ retry: [], settled: 0 });
    expect(await rowOf(change)).toMatchObject({ state: 'planned', route: 'command', errorClass: 'OfferRejected' });
    const { phases } = await under.act.planWrites({ runId: change.runId });
    const commandId = phases[0]?.commandIds[0] ?? '';
    await under.act.submitCommand({ runId: change.runId, commandId, priority: 'scheduled' });
    await settleCommands(change.runId);

    expect(await rowOf(change)).toMatchObject({ state: 'rejected', errorCode: 'MissingRequiredParameters' });
    expect(await under.act.planWrites({ runId: change.runId })).toEqual({ phases: [] });
    const next = await change.shop.scanned();
    expect(await memoryOf(under.db, change.offerId)).toMatchObject({ lastRunId: next, reason: 'quarantined' });
  });

  test('an ending that is refused becomes an END command, which is remembered as ours', async () => {
    const change = await planned(0, { rejection: { commands: true } });

    await send(change);
    expect(await rowOf(change)).toMatchObject({ state: 'planned', route: 'end_command' });
    const { phases } = await under.act.planWrites({ runId: change.runId });
    const commandId = phases[0]?.commandIds[0] ?? '';
    await under.act.submitCommand({ runId: change.runId, commandId, priority: 'scheduled' });
    await settleCommands(change.runId);

    expect(await rowOf(change)).toMatchObject({ state: 'confirmed', kind: 'end' });
    expect(await under.allegro.admin.offer(change.offerId)).toMatchObject({ status: 'ENDED', endedBy: 'USER' });
    expect((await memoryOf(under.db, change.offerId)).endedByUsAt).not.toBeNull();
  });

  test.each([
    ['OfferNotFound', 404, 'OfferNotFoundException'],
    ['AccessDenied', 403, 'OfferAccessDeniedException'],
  ])('%s is final and quarantines the offer until it or its stock changes', async (errorClass, status, code) => {
    const change = await planned(4);
    await plant(PATCH, { kind: 'status', status, body: { errors: [{ code, message: 'no \0 such' }] } }, change);

    expect(await send(change)).toEqual({ retry: [], settled: 1 });
    expect(await rowOf(change)).toMatchObject({ state: 'rejected', errorClass, attempts: 1 });

    await under.allegro.admin.removeFaults();
    await change.shop.scanned();
    expect(await memoryOf(under.db, change.offerId)).toMatchObject({ bucket: 'skipped', reason: 'quarantined' });
    await stock(under, { [change.sku]: 3 });
    const later = await change.shop.scanned();
    expect(await changeOf(under.db, later, change.offerId)).toMatchObject({ state: 'planned', target: 3 });
  });

  test('an offer in quarantine is tried again at once when somebody has edited it', async () => {
    const change = await planned(4);
    await plant(PATCH, { kind: 'status', status: 404 }, change);
    await send(change);
    await under.allegro.admin.removeFaults();
    await change.shop.scanned();
    expect(await memoryOf(under.db, change.offerId)).toMatchObject({ reason: 'quarantined' });

    await under.allegro.admin.editOffer(change.offerId, { name: 'Another name' });
    const later = await change.shop.scanned();

    expect(await changeOf(under.db, later, change.offerId)).toMatchObject({ state: 'planned', target: 4 });
  });

  test('rejected again and again, an offer waits 1 h, 6 h, 24 h, and then a day each time', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    const offerId = await shop.offer({ externalId: sku });
    await under.allegro.admin.plantFault({ match: { route: PATCH, offerId }, fault: { kind: 'status', status: 404 } });

    const hours: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const runId = await shop.scanned();
      await under.act.updateOfferBatch({ runId, batch: await onlyBatch(runId), priority: 'scheduled' });
      const { retryAt } = await under.db
        .selectFrom('quarantinedOffers')
        .select('retryAt')
        .where('offerId', '=', offerId)
        .executeTakeFirstOrThrow();
      hours.push(Math.round((retryAt.getTime() - Date.now()) / 3_600_000));
      // Time passes.
      await under.db
        .updateTable('quarantinedOffers')
        .set({ retryAt: new Date(0) })
        .where('offerId', '=', offerId)
        .execute();
    }

    expect(hours).toEqual([1, 6, 24, 24]);
  });

  test('one offer that cannot be read is that offer’s trouble', async () => {
    const change = await planned(0);
    await plant(READ, { kind: 'status', status: 500 }, change);

    expect(await send(change)).toEqual({ retry: [change.offerId], settled: 0 });
    expect(await rowOf(change)).toMatchObject({ state: 'sending', attempts: 1, errorClass: 'OutcomeUnknown' });
  });

  test('an outage is no attempt of any offer', async () => {
    const shop = await under.shop();
    const skus = Array.from({ length: 12 }, () => shop.sku());
    await stock(under, Object.fromEntries(skus.map((sku, index) => [sku, index + 20])));
    await shop.offers(skus.map((externalId) => ({ externalId })));
    const runId = await shop.scanned();
    const batch = await onlyBatch(runId);
    await under.allegro.admin.plantFault({
      match: { route: PATCH, sellerId: shop.seller },
      fault: { kind: 'status', status: 503 },
    });

    const sending = under.act.updateOfferBatch({ runId, batch, priority: 'scheduled' });
    expect(await failureClass(sending)).toBe('MarketplaceUnavailable');
    const rows = await under.db.selectFrom('offerChanges').select('attempts').where('runId', '=', runId).execute();
    expect(new Set(rows.map((row) => row.attempts))).toEqual(new Set([0]));

    await under.allegro.admin.removeFaults();
    expect(await under.act.updateOfferBatch({ runId, batch, priority: 'scheduled' })).toEqual({
      retry: [],
      settled: 12,
    });
  });

  test('the stop switch stops a batch at once and loses no change', async () => {
    const change = await planned(4);
    const stopped: Marketplace = {
      ...under.services.marketplace,
      writeOffer: () => Promise.reject(new SyncError('WritesStopped', 'stopped')),
    };

    expect(await failureClass(send(change, under.with({ marketplace: stopped })))).toBe('WritesStopped');
    // Nothing is on its way: no later run has to ask what became of it.
    expect(await rowOf(change)).toMatchObject({ state: 'planned', attempts: 0, valueSent: null, sentAt: null });
    expect(await send(change)).toEqual({ retry: [], settled: 1 });
  });
});

async function settleCommands(runId: RunId): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { open } = await under.act.checkCommands({
      runId,
      of: 'this_run',
      priority: 'scheduled',
      isLastCheck: false,
    });
    if (open === 0) return;
    if (Date.now() > deadline) throw new Error('the command does not end');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
