import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { CloseRunInput } from '../../../src/activities/close-run.js';
import type { RunId } from '../../../src/domain/ids.js';
import type { Marketplace } from '../../../src/domain/marketplace.js';
import { alertMessageSchema, type OfferFailuresMessage } from '../../../src/notifications/notifier.js';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
import { pauseAccount } from '../../../src/storage/accounts.js';
import { listIncidents, openIncident, resolveIncident } from '../../../src/storage/incidents.js';
import {
  changeOf,
  runOf,
  setUpActivities,
  stock,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
import { driveSync, sumOfBuckets } from './sync-driver.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const PATCH = 'PATCH /sale/product-offers/{offerId}';

async function close(shop: Shop, runId: RunId, changes: Partial<CloseRunInput> = {}) {
  const { accountId } = shop;
  const input = { accountId, runId, end: 'done', failure: null, accountName: 'Shop', mode: 'live' } as const;
  return (await under.act.closeRun({ ...input, ...changes })).result;
}

async function sync(shop: Shop) {
  return driveSync(under.act, { accountId: shop.accountId, runId: await shop.open() });
}

async function accountOf({ accountId }: Shop) {
  return under.db.selectFrom('accounts').selectAll().where('id', '=', accountId).executeTakeFirstOrThrow();
}

async function incidentsOf({ accountId }: Shop) {
  return under.db
    .selectFrom('incidents')
    .select(['class', 'state', 'occurrences'])
    .where('accountId', '=', accountId)
    .orderBy('id')
    .execute();
}

/** Kinds of the messages about one shop. */
async function messagesOf({ accountId }: Shop): Promise<string[]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.flatMap(({ message }) =>
    message['accountId'] === accountId && typeof message['kind'] === 'string' ? [message['kind']] : [],
  );
}

async function offerFailuresOf({ accountId }: Shop): Promise<OfferFailuresMessage[]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows
    .map(({ message }) => alertMessageSchema.parse(message))
    .filter((message) => message.kind === 'offer_failures')
    .filter((message) => message.accountId === accountId);
}

describe('a complete run', () => {
  test('counts each offer once, and remembers when it began and how many offers run', async () => {
    const shop = await under.shop();
    const [same, lower] = [shop.sku(), shop.sku()];
    await stock(under, { [same]: 10, [lower]: 4 });
    await shop.offers([{ externalId: same }, { externalId: lower }, { externalId: null }]);

    const result = await sync(shop);

    expect(result).toMatchObject({ outcome: 'in_sync', seen: 3, isComplete: true });
    expect(result.buckets).toMatchObject({ in_sync: 1, lowered: 1, skipped: 1 });
    expect(sumOfBuckets(result)).toBe(3);
    const run = await runOf(under.db, result.runId as RunId);
    expect(run).toMatchObject({ state: 'closed', outcome: 'in_sync', buckets: result.buckets });
    expect(await accountOf(shop)).toMatchObject({ lastCompleteAt: run.startedAt, lastCompleteActive: 3 });
  });

  test('closed again after a crash it tells the same and counts no request twice', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    await shop.offer({ externalId: sku });
    const first = await sync(shop);
    if (first.runId === null) throw new Error('no run');

    const second = await close(shop, first.runId as RunId);

    expect(second).toEqual({ ...first, accountName: 'Shop' });
    // The listing and the offer.
    expect(first.requests).toBe(2);
  });

  test('a preview of a live account is no complete run', async () => {
    const shop = await under.shop();
    await shop.offer({ externalId: null });
    const runId = await shop.scanned({ isPreview: true });

    expect(await close(shop, runId, { mode: 'preview' })).toMatchObject({ isComplete: true });

    expect((await accountOf(shop)).lastCompleteAt).toBeNull();
  });
});

describe('problems of the whole account', () => {
  async function opened(shop: Shop, ...classes: string[]): Promise<void> {
    for (const name of classes) {
      await openIncident(under.db, { accountId: shop.accountId, class: name, title: name, details: {} });
    }
  }
  const openOf = async (shop: Shop): Promise<string[]> =>
    (await incidentsOf(shop)).flatMap((incident) => (incident.state === 'open' ? [incident.class] : []));

  test('are over by a run of chosen SKUs only where working with the marketplace shows that', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    await shop.offer({ externalId: sku });
    await opened(shop, 'DeadlineExceeded', 'StillRunning', 'InternalError', 'MarketplaceUnavailable', 'TokenRevoked');

    await close(shop, await shop.scanned({ skus: [sku] }));
    expect(await openOf(shop)).toEqual(['DeadlineExceeded', 'StillRunning', 'InternalError']);

    await close(shop, await shop.scanned());
    expect(await openOf(shop)).toEqual([]);
  });
});

describe('problems of the whole system', () => {
  const REFUSED = { class: 'ApplicationRefused', message: 'the login was encrypted with another key' };
  const ofTheSystem = async (problemClass: string) =>
    under.db
      .selectFrom('incidents')
      .select(['state', 'occurrences', 'details'])
      .where('accountId', 'is', null)
      .where('class', '=', problemClass)
      .orderBy('id')
      .execute();
  const toldOf = async (...kinds: string[]) => {
    const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
    return rows.map(({ message }) => message).filter(({ kind }) => typeof kind === 'string' && kinds.includes(kind));
  };

  beforeEach(async () => {
    await under.db.deleteFrom('incidents').execute();
    await under.db.deleteFrom('outbox').execute();
  });

  test('that only one account meets last while the others work, and end with a run of its own', async () => {
    const [one, other] = [await under.shop(), await under.shop()];
    for (const tick of [1, 2]) {
      const failed = await close(one, await one.open(), { end: 'failed', failure: REFUSED, accountName: 'Tea House' });
      expect(failed.outcome).toBe('failed');
      await close(other, await other.scanned());
      expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'open', occurrences: tick }]);
    }
    expect(await toldOf('system_problem', 'resolved')).toMatchObject([
      { details: `met by the account Tea House (${one.accountId}): the login was encrypted with another key` },
    ]);

    // Neither what was stopped nor what was overtaken has shown that it is over.
    await close(one, await one.open(), { end: 'stopped', failure: { class: 'Cancelled', message: 'x' } });
    await one.open();
    const right = await one.open();
    await close(other, await other.scanned());
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'open' }]);

    await close(one, right);
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'resolved' }]);
    expect(await toldOf('system_problem', 'resolved')).toMatchObject([
      { kind: 'system_problem' },
      { kind: 'resolved' },
    ]);
  });

  test('last too where the account could not even open its run', async () => {
    const [one, other] = [await under.shop(), await under.shop()];
    await close(one, await one.scanned());
    const input = { accountId: one.accountId, runId: null, accountName: 'Tea House', mode: 'live' } as const;
    await under.act.closeRun({ ...input, end: 'failed', failure: REFUSED });

    await close(other, await other.scanned());
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'open' }]);

    await close(one, await one.scanned());
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'resolved' }]);
  });

  test('last for each account that could not open its run, whichever met them since', async () => {
    const [one, other] = [await under.shop(), await under.shop()];
    const input = { accountId: one.accountId, runId: null, accountName: 'Tea House', mode: 'live' } as const;
    await under.act.closeRun({ ...input, end: 'failed', failure: REFUSED });
    await close(other, await other.open(), { end: 'failed', failure: REFUSED });

    await close(other, await other.scanned());
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'open' }]);

    await close(one, await one.scanned());
    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'resolved' }]);
  });

  test('are over when the only account that meets them is paused', async () => {
    const [one, other] = [await under.shop(), await under.shop()];
    await close(one, await one.open(), { end: 'failed', failure: REFUSED });
    await pauseAccount(under.db, one.accountId, 'looking into it');

    await close(other, await other.scanned());

    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'resolved' }]);
  });

  test('are over with a run that met them, was reset and came to its end', async () => {
    const one = await under.shop();
    const runId = await one.scanned();
    await close(one, runId, { end: 'failed', failure: REFUSED });

    await close(one, runId);

    expect(await ofTheSystem(REFUSED.class)).toMatchObject([{ state: 'resolved' }]);
  });
});

describe('ticks at which an account is still at work', () => {
  test('are told at the second in a row, and each counts once, however often it is recorded', async () => {
    const shop = await under.shop();
    const busy = [shop.accountId];
    for (const tick of ['one', 'one']) await under.act.recordTick({ tick, busy, idle: [] });
    expect(await incidentsOf(shop)).toEqual([]);

    for (const tick of ['two', 'two']) await under.act.recordTick({ tick, busy, idle: [] });

    expect(await incidentsOf(shop)).toMatchObject([{ class: 'StillRunning', state: 'open' }]);
    expect(await messagesOf(shop)).toEqual(['account_problem']);
  });

  test('begin anew after one at which it was idle', async () => {
    const shop = await under.shop();
    const { accountId } = shop;
    await under.act.recordTick({ tick: 'one', busy: [accountId], idle: [] });
    await under.act.recordTick({ tick: 'two', busy: [], idle: [accountId] });
    await under.act.recordTick({ tick: 'three', busy: [accountId], idle: [] });

    expect(await incidentsOf(shop)).toEqual([]);
  });
});

describe('a run that was overtaken', () => {
  test('closes quietly: the account and its incidents are the newer run’s', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    await shop.offer({ externalId: sku });
    const older = await shop.scanned();
    const newer = await shop.open();

    const result = await close(shop, older, {
      end: 'failed',
      failure: { class: 'MarketplaceUnavailable', message: 'x' },
    });

    expect(result.outcome).toBe('superseded');
    expect(await runOf(under.db, older)).toMatchObject({ state: 'closed', outcome: 'superseded' });
    expect(await runOf(under.db, newer)).toMatchObject({ state: 'open', outcome: null });
    expect(await incidentsOf(shop)).toEqual([]);
    expect((await accountOf(shop)).lastCompleteAt).toBeNull();
  });

  test('keeps what it had when it is closed again after a reset', async () => {
    const shop = await under.shop();
    await shop.offer({ externalId: null });
    const older = await sync(shop);
    await sync(shop);
    const before = await runOf(under.db, older.runId as RunId);
    const account = await accountOf(shop);

    await close(shop, older.runId as RunId);

    expect(await runOf(under.db, older.runId as RunId)).toEqual(before);
    expect(await accountOf(shop)).toEqual(account);
  });

  test('leaves no change planned, even when it had been closed as failed', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    const offerId = await shop.offer({ externalId: sku });
    const failed = await shop.scanned();
    const result = await close(shop, failed, { end: 'failed', failure: { class: 'InternalError', message: 'x' } });
    expect(result.buckets).toMatchObject({ pending: 1 });
    expect(await changeOf(under.db, failed, offerId)).toMatchObject({ state: 'planned' });

    await shop.open();

    expect(await changeOf(under.db, failed, offerId)).toMatchObject({ state: 'superseded', reason: 'run_ended' });
  });
});

describe('telling', () => {
  test('a rejected offer is one incident and one message, however often the run is closed; its recovery is one', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    const offerId = await shop.offer({ externalId: sku });
    await under.allegro.admin.plantFault({ match: { route: PATCH, offerId }, fault: { kind: 'status', status: 404 } });

    const failed = await sync(shop);
    await close(shop, failed.runId as RunId);
    await sync(shop);
    expect(failed).toMatchObject({ outcome: 'problems', failed: { OfferNotFound: 1 } });
    expect(await incidentsOf(shop)).toEqual([{ class: 'OfferNotFound', state: 'open', occurrences: 1 }]);
    expect(await messagesOf(shop)).toEqual(['offer_failures']);

    await under.allegro.admin.removeFaults();
    await stock(under, { [sku]: 5 });
    const right = await sync(shop);
    await close(shop, right.runId as RunId);
    expect(right.buckets).toMatchObject({ lowered: 1 });
    expect(await incidentsOf(shop)).toMatchObject([{ state: 'resolved' }]);
    expect(await messagesOf(shop)).toEqual(['offer_failures', 'resolved']);
    expect(await under.db.selectFrom('quarantinedOffers').where('offerId', '=', offerId).selectAll().execute()).toEqual(
      [],
    );
  });

  test('offers that fail after a failed run was reset are told too, each once', async () => {
    const shop = await under.shop();
    const skus = [shop.sku(), shop.sku()];
    await stock(under, Object.fromEntries(skus.map((sku) => [sku, 4])));
    await shop.offers(skus.map((externalId) => ({ externalId })));
    const runId = await shop.scanned();
    const reject = (sku: string) =>
      under.db
        .updateTable('offerChanges')
        .set({ state: 'rejected', errorClass: 'OfferRejected' })
        .where('runId', '=', runId)
        .where('sku', '=', sku)
        .execute();
    const toldSkus = async () =>
      (await offerFailuresOf(shop)).map(({ failures }) => failures.map((failure) => failure.sku));

    await reject(skus[0] ?? '');
    await close(shop, runId, { end: 'failed', failure: { class: 'MarketplaceUnavailable', message: 'x' } });
    expect(await toldSkus()).toEqual([[skus[0]]]);

    await reject(skus[1] ?? '');
    for (const _time of [1, 2]) await close(shop, runId);
    expect(await toldSkus()).toEqual([[skus[0]], [skus[1]]]);
  });

  test('a rejection whose run was overtaken is told by the next run that leaves the offer alone, and that once', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 4 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    await under.allegro.admin.plantFault({ match: { route: PATCH, offerId }, fault: { kind: 'status', status: 404 } });
    const overtaken = await shop.scanned();
    await under.act.checkGuards({ runId: overtaken });
    const { phases } = await under.act.planWrites({ runId: overtaken });
    for (const batch of phases.flatMap(({ batches }) => batches)) {
      await under.act.updateOfferBatch({ runId: overtaken, batch, priority: 'scheduled' });
    }
    const next = await shop.open();
    await close(shop, overtaken);
    expect(await incidentsOf(shop)).toEqual([]);

    const result = await driveSync(under.act, { accountId: shop.accountId, runId: next });
    await close(shop, next);
    await sync(shop);

    expect(result.skipped).toEqual({ quarantined: 1 });
    expect(await incidentsOf(shop)).toEqual([{ class: 'OfferNotFound', state: 'open', occurrences: 1 }]);
    const failuresTold = await offerFailuresOf(shop);
    expect(failuresTold).toHaveLength(1);
    expect(failuresTold).toMatchObject([
      { runId: overtaken, failures: [{ offerId, sku, current: 10, target: 4, attempts: 1, piecesAtRisk: 6 }] },
    ]);

    // As everything that a person resolves while it lasts: it is told again, and that once.
    const [incident] = await listIncidents(under.db, { accountId: shop.accountId, limit: 1 });
    await resolveIncident(under.db, incident?.id ?? '');
    await sync(shop);
    await sync(shop);
    expect(await offerFailuresOf(shop)).toHaveLength(2);

    await under.allegro.admin.removeFaults();
    await stock(under, { [sku]: 5 });
    expect((await sync(shop)).buckets).toMatchObject({ lowered: 1 });
    expect(await incidentsOf(shop)).toMatchObject([{ state: 'resolved' }, { state: 'resolved' }]);
  });

  test('stock rows that have vanished are told, and over when they are back', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    const offerId = await shop.offer({ externalId: sku });
    await sync(shop);
    await under.db.deleteFrom('stockLevels').where('sku', '=', sku).execute();

    await sync(shop);
    await sync(shop);
    expect(await incidentsOf(shop)).toEqual([{ class: 'StockRowVanished', state: 'open', occurrences: 2 }]);

    await stock(under, { [sku]: 10 });
    await sync(shop);
    expect(await incidentsOf(shop)).toMatchObject([{ state: 'resolved' }]);
    expect(await messagesOf(shop)).toEqual(['account_problem', 'resolved']);

    // Another SKU that was never in the stock has not vanished from it.
    await under.allegro.admin.editOffer(offerId, { externalId: 'never-in-stock' });
    await sync(shop);
    expect(await incidentsOf(shop)).toHaveLength(1);
  });

  test('the end of silence is told by a complete live run only', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    await shop.offers([{ externalId: sku }, { externalId: sku }]);
    const silence = { accountId: shop.accountId, class: 'NoCompleteRun', title: 'silence', details: '{}' };
    await under.db.insertInto('incidents').values(silence).execute();

    const chosen = await shop.scanned({ skus: [sku] });
    await close(shop, chosen);
    const preview = await shop.scanned({ isPreview: true });
    await close(shop, preview, { mode: 'preview' });
    expect(await incidentsOf(shop)).toMatchObject([{ state: 'open' }]);

    await sync(shop);
    expect(await incidentsOf(shop)).toMatchObject([{ state: 'resolved' }]);
  });

  test('an incomplete listing ends no problem of offers it may not have met', async () => {
    const shop = await under.shop();
    const [sku, vanished] = [shop.sku(), shop.sku()];
    await stock(under, { [sku]: 10, [vanished]: 10 });
    await shop.offers([{ externalId: sku }, { externalId: vanished }]);
    await sync(shop);
    await under.db.deleteFrom('stockLevels').where('sku', '=', vanished).execute();
    await sync(shop);
    const halved: Marketplace = {
      ...under.services.marketplace,
      listOffers: async (call, page) => {
        const { offers } = await under.services.marketplace.listOffers(call, page);
        return { offers: offers.filter((offer) => offer.sku === sku), totalCount: 2 };
      },
    };
    const runId = await shop.open();
    await under.with({ marketplace: halved }).scanOffers({ runId, cursor: { position: 0 }, priority: 'scheduled' });

    expect(await close(shop, runId)).toMatchObject({ isComplete: false });

    expect(await incidentsOf(shop)).toMatchObject([{ class: 'StockRowVanished', state: 'open' }]);
  });

  test('what is held after a person has let the rest through is told once, however often the run is closed', async () => {
    const shop = await under.shop();
    const skus = Array.from({ length: 22 }, () => shop.sku());
    const setAll = (some: string[], pieces: number) =>
      stock(under, Object.fromEntries(some.map((sku) => [sku, pieces])));
    await setAll(skus, 10);
    await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
    await sync(shop);
    await setAll(skus.slice(0, 11), 0);
    const held = await sync(shop);
    expect(held).toMatchObject({ held: { guard: 11 } });
    await approveHeldChanges(under.db, shop.accountId, held.runId as RunId);
    await setAll(skus.slice(11), 0);

    const second = await sync(shop);
    expect(second).toMatchObject({ buckets: { ended: 11, held: 11 } });
    const told = await messagesOf(shop);
    expect(told).toEqual(['held', 'held']);
    await close(shop, second.runId as RunId);

    expect(await messagesOf(shop)).toEqual(told);
    expect(await incidentsOf(shop)).toEqual([
      { class: 'Held', state: 'resolved', occurrences: 1 },
      { class: 'Held', state: 'open', occurrences: 1 },
    ]);
  });
});
