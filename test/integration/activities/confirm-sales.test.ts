import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FaultRule } from '../../../simulator/faults.js';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import { pauseAccount } from '../../../src/storage/accounts.js';
import { readStock } from '../../../src/storage/offers.js';
import { deleteSalesBefore, readUnreadableSales } from '../../../src/storage/sales.js';
import { toSku } from '../../../src/domain/ids.js';
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

let under: ActivitiesUnderTest;
let skus = 0;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const EVENTS = 'GET /order/events';
const HELD = { state: 'held', reason: 'unbooked_sale' };
const PLANNED = { state: 'planned', kind: 'raise' };

interface Scene {
  readonly sku: string;
  /** Shows 3 of the 10 pieces, so that it is about to be raised. */
  readonly low: { readonly shop: Shop; readonly offerId: OfferId };
  /** Another account that sells the same. */
  readonly other: { readonly shop: Shop; readonly offerId: OfferId };
}

async function scene(): Promise<Scene> {
  skus += 1;
  const sku = `CS-${skus}`;
  await stock(under, { [sku]: 10 });
  const [shop, elsewhere] = [await under.shop(), await under.shop()];
  const offerId = await shop.offer({ externalId: sku, available: 3 });
  const other = await elsewhere.offer({ externalId: sku, available: 10 });
  await elsewhere.scanned();
  return { sku, low: { shop, offerId }, other: { shop: elsewhere, offerId: other } };
}

async function asked(runId: RunId, act = under.act) {
  return act.confirmSales({ runId, priority: 'scheduled' });
}

async function eventRequests(since: number, shop: Shop): Promise<number> {
  const requests = await requestsSince(under, since, shop.seller);
  return requests.filter(({ method, route }) => `${method} ${route}` === EVENTS).length;
}

async function plant(shop: Shop, fault: FaultRule['fault'], times?: number): Promise<void> {
  const match = { route: EVENTS, sellerId: shop.seller, ...(times === undefined ? {} : { times }) };
  await under.allegro.admin.plantFault({ match, fault });
}

describe('a sale in any account', () => {
  test('holds the raise of its SKU until the stock row changes', async () => {
    const { sku, low, other } = await scene();
    await under.allegro.admin.sell({ offerId: other.offerId, quantity: 2 });
    const runId = await low.shop.scanned();
    expect(await changeOf(under.db, runId, low.offerId)).toMatchObject(PLANNED);

    expect(await asked(runId)).toEqual({ held: 1, accounts: 2 });

    expect(await changeOf(under.db, runId, low.offerId)).toMatchObject(HELD);
    // The next scan knows it already.
    expect(await changeOf(under.db, await low.shop.scanned(), low.offerId)).toMatchObject(HELD);
    await stock(under, { [sku]: 8 });
    const later = await low.shop.scanned();
    expect(await asked(later)).toMatchObject({ held: 0 });
    expect(await changeOf(under.db, later, low.offerId)).toMatchObject({ ...PLANNED, target: 8 });
  });

  test('holds a return as well, and never a lowering or an ending', async () => {
    const { sku, low, other } = await scene();
    const [ended, high] = await low.shop.offers([
      { externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 },
      { externalId: sku, available: 50 },
    ]);
    if (ended === undefined || high === undefined) throw new Error('no offers');
    const runId = await low.shop.scanned();
    await under.allegro.admin.sell({ offerId: other.offerId });

    expect(await asked(runId)).toMatchObject({ held: 2 });

    expect(await changeOf(under.db, runId, ended)).toMatchObject({ ...HELD, kind: 'reactivate' });
    expect(await changeOf(under.db, runId, high)).toMatchObject({ state: 'planned', kind: 'lower' });
  });

  test('holds nothing when patience is over, when the stock was booked after it, or when another SKU was bought', async () => {
    const { sku, low, other } = await scene();
    const another = await other.shop.offer({ externalId: `${sku}-2`, available: 10 });
    await under.allegro.admin.sell({ offerId: other.offerId });
    await stock(under, { [sku]: 9 });
    await under.allegro.admin.sell({ offerId: another });
    const runId = await low.shop.scanned();
    expect(await asked(runId)).toMatchObject({ held: 0 });

    await under.allegro.admin.sell({ offerId: other.offerId });
    const impatient = under.with({ sync: { ...SYNC, unbookedSalePatienceSeconds: 0 } });
    expect(await asked(runId, impatient)).toMatchObject({ held: 0 });
    expect(await asked(runId)).toMatchObject({ held: 1 });
  });

  test('that is told twice, out of order or again later counts once', async () => {
    const { sku, low, other } = await scene();
    const sale = await under.allegro.admin.sell({
      offerId: other.offerId,
      also: [{ offerId: other.offerId, quantity: 2 }],
    });
    await under.allegro.admin.sell({ offerId: other.offerId });
    const runId = await low.shop.scanned();
    await plant(other.shop, { kind: 'reorderEvents' }, 1);
    await plant(other.shop, { kind: 'duplicateEvents' }, 1);

    await asked(runId);
    await under.allegro.admin.continueOrder(sale.checkoutFormId, { type: 'BOUGHT' });
    await asked(await low.shop.scanned());

    const stored = await under.db.selectFrom('sales').select('quantity').where('sku', '=', sku).execute();
    expect(stored.map(({ quantity }) => quantity).sort()).toEqual([1, 1, 2]);
  });

  test('that is cancelled goes on holding: whether its pieces return is not known', async () => {
    const { low, other } = await scene();
    await under.allegro.admin.sell({ offerId: other.offerId, events: ['BUYER_CANCELLED'] });
    expect(await asked(await low.shop.scanned())).toMatchObject({ held: 1 });
  });
});

describe('reading sales', () => {
  test('costs nothing while nothing is to be raised', async () => {
    const { sku, low } = await scene();
    await stock(under, { [sku]: 3 });
    const runId = await low.shop.scanned();
    const start = await journalEnd(under);

    expect(await asked(runId)).toEqual({ held: 0, accounts: 0 });
    expect(await requestsSince(under, start, low.shop.seller)).toEqual([]);
  });

  test('goes on where it ended, over pages, and asks no account that is paused or sells nothing of it', async () => {
    const { sku, low, other } = await scene();
    const [paused, foreign] = [await under.shop(), await under.shop()];
    await foreign.offer({ externalId: 'something-else' });
    await foreign.scanned();
    const runId = await low.shop.scanned();
    await paused.offer({ externalId: sku });
    await paused.scanned();
    await pauseAccount(under.db, paused.accountId, 'by a person');
    const cursors: (string | null)[] = [];
    // Two pages of one event each.
    const events = {
      readSales: async (...[call, cursor]: Parameters<typeof under.services.events.readSales>) => {
        const page = await under.services.events.readSales(call, cursor);
        if (call.accountId !== other.shop.accountId) return page;
        cursors.push(cursor);
        return { ...page, cursor: `${cursors.length}`, isLast: cursors.length !== 1 };
      },
    };
    const start = await journalEnd(under);

    expect(await asked(runId, under.with({ events }))).toMatchObject({ accounts: 2 });
    await asked(runId, under.with({ events }));

    expect(cursors).toEqual([null, '1', '2']);
    expect(await eventRequests(start, paused)).toBe(0);
    expect(await eventRequests(start, foreign)).toBe(0);
  });

  test('keeps what was read when it is broken off', async () => {
    const { low, other } = await scene();
    await under.allegro.admin.sell({ offerId: other.offerId });
    const runId = await low.shop.scanned();
    let calls = 0;
    const events = {
      readSales: async (...[call, cursor]: Parameters<typeof under.services.events.readSales>) => {
        if (call.accountId !== other.shop.accountId) return under.services.events.readSales(call, cursor);
        calls += 1;
        if (calls === 2) throw new SyncError('RateLimited', 'full', { retryInMs: 5_000 });
        return { ...(await under.services.events.readSales(call, cursor)), isLast: false };
      },
    };

    expect(await failureClass(asked(runId, under.with({ events })))).toBe('RateLimited');

    const { cursor } = await cursorOf(other.shop);
    expect(cursor).toMatch(/^\d+$/);
    expect(await asked(runId)).toMatchObject({ held: 1 });
  });

  test('forgets a sale when it can hold nothing any more', async () => {
    const { sku, low, other } = await scene();
    await under.allegro.admin.sell({ offerId: other.offerId });
    await asked(await low.shop.scanned());
    const key = toSku(sku);
    if (key === null) throw new Error('no SKU');
    expect((await readStock(under.db, [key])).get(key)?.lastSaleAt).toBeInstanceOf(Date);

    await deleteSalesBefore(under.db, new Date(Date.now() + 60_000));
    expect((await readStock(under.db, [key])).get(key)?.lastSaleAt).toBeNull();
  });
});

async function cursorOf(shop: Shop) {
  return under.db
    .selectFrom('saleCursors')
    .selectAll()
    .where('accountId', '=', shop.accountId)
    .executeTakeFirstOrThrow();
}

describe('what cannot be read', () => {
  test.each<[string, FaultRule['fault'], string]>([
    ['is not there', { kind: 'status', status: 404 }, 'ApplicationRefused'],
    ['fails', { kind: 'status', status: 503 }, 'MarketplaceUnavailable'],
    ['is no JSON', { kind: 'truncate' }, 'InvalidAnswer'],
    ['has no answer', { kind: 'cutBefore' }, 'MarketplaceUnavailable'],
  ])('stops nothing when it %s: what is known holds', async (_what, fault, errorClass) => {
    const { low, other } = await scene();
    await under.allegro.admin.sell({ offerId: low.offerId });
    const runId = await low.shop.scanned();
    await plant(other.shop, fault);

    expect(await asked(runId)).toMatchObject({ held: 1 });

    expect(await cursorOf(other.shop)).toMatchObject({ errorClass });
  });

  test('because the login lacks the scope is remembered, and asked again only after a new token', async () => {
    const { low, other } = await scene();
    const { store, admin } = under.allegro;
    const pair = await admin.issueTokens({
      sellerId: other.shop.seller,
      scopes: ['allegro:api:sale:offers:read', 'allegro:api:sale:offers:write', 'allegro:api:profile:read'],
    });
    const expires = { accessExpiresAt: new Date(Date.now() + 12 * 3_600_000) };
    const before = await store.read(other.shop.accountId);
    await store.replace(other.shop.accountId, before?.generation ?? null, { ...pair, ...expires });
    const fresh = under.allegro.another();
    const act = under.with({ events: fresh.events });
    const runId = await low.shop.scanned();
    const start = await journalEnd(under);

    await asked(runId, act);
    await asked(runId, act);

    expect(await eventRequests(start, other.shop)).toBe(1);
    expect(await readUnreadableSales(under.db)).toContainEqual(
      expect.objectContaining({ accountId: other.shop.accountId, errorClass: 'AccountRefused' }),
    );
    const now = await store.read(other.shop.accountId);
    const whole = await admin.issueTokens({ sellerId: other.shop.seller });
    await store.replace(other.shop.accountId, now?.generation ?? null, { ...whole, ...expires });
    await asked(runId, under.with({ events: under.allegro.another().events }));
    expect((await readUnreadableSales(under.db)).map(({ accountId }) => accountId)).not.toContain(other.shop.accountId);
  });

  test('begins anew when the place where it ended is gone', async () => {
    const { low, other } = await scene();
    await under.allegro.admin.sell({ offerId: other.offerId });
    const runId = await low.shop.scanned();
    await under.db
      .insertInto('saleCursors')
      .values({ accountId: other.shop.accountId, cursor: 'no-such-place' })
      .execute();

    expect(await asked(runId)).toMatchObject({ held: 0 });
    expect(await cursorOf(other.shop)).toMatchObject({ cursor: null });
    expect(await asked(runId)).toMatchObject({ held: 1 });
  });

  test('because another account’s login is gone leaves this run alone; its own ends it', async () => {
    const { low, other } = await scene();
    const runId = await low.shop.scanned();
    const revoked = (accountId: string) => ({
      readSales: (...[call, cursor]: Parameters<typeof under.services.events.readSales>) =>
        call.accountId === accountId
          ? Promise.reject(new SyncError('TokenRevoked', 'gone'))
          : under.services.events.readSales(call, cursor),
    });

    expect(await asked(runId, under.with({ events: revoked(other.shop.accountId) }))).toMatchObject({ held: 0 });
    expect(await failureClass(asked(runId, under.with({ events: revoked(low.shop.accountId) })))).toBe('TokenRevoked');
  });
});

test('another account’s login that has to wait leaves this run alone; its own is waited for', async () => {
  const { low, other } = await scene();
  const runId = await low.shop.scanned();
  const blocked = (accountId: string) => ({
    readSales: (...[call, cursor]: Parameters<typeof under.services.events.readSales>) =>
      call.accountId === accountId
        ? Promise.reject(new SyncError('RateLimited', 'wait', { scope: `login:${accountId}`, retryInMs: 60_000 }))
        : under.services.events.readSales(call, cursor),
  });

  expect(await asked(runId, under.with({ events: blocked(other.shop.accountId) }))).toMatchObject({ held: 0 });
  expect(await failureClass(asked(runId, under.with({ events: blocked(low.shop.accountId) })))).toBe('RateLimited');
});

describe('a sale that becomes known after the raise was planned', () => {
  async function sold(sku: string, shop: Shop): Promise<void> {
    await under.db
      .insertInto('sales')
      .values({ accountId: shop.accountId, key: `late/${sku}`, offerId: '1', sku, quantity: 1, boughtAt: new Date() })
      .execute();
  }

  test('holds it before it is sent alone', async () => {
    const { sku, low, other } = await scene();
    const runId = await low.shop.scanned();
    const { phases } = await under.act.planWrites({ runId });
    await sold(sku, other.shop);

    await under.act.updateOfferBatch({ runId, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' });

    expect(await changeOf(under.db, runId, low.offerId)).toMatchObject({ ...HELD, valueSent: null });
  });

  test('does not hold what has become a lowering meanwhile', async () => {
    const { sku, low, other } = await scene();
    await low.shop.offers(Array.from({ length: 12 }, () => ({ externalId: sku, available: 4 })));
    const runId = await low.shop.scanned();
    const { phases } = await under.act.planWrites({ runId });
    await stock(under, { [sku]: 2 });
    await sold(sku, other.shop);

    const commandId = phases[0]?.commandIds[0] ?? '';
    await under.act.submitCommand({ runId, commandId, priority: 'scheduled' });

    expect(await changeOf(under.db, runId, low.offerId)).toMatchObject({ state: 'planned', target: 2, route: 'patch' });
  });

  test('holds it before it is sent by a command', async () => {
    const { sku, low, other } = await scene();
    await low.shop.offers(Array.from({ length: 12 }, () => ({ externalId: sku, available: 4 })));
    const runId = await low.shop.scanned();
    const { phases } = await under.act.planWrites({ runId });
    await sold(sku, other.shop);

    const commandId = phases[0]?.commandIds[0] ?? '';
    expect(await under.act.submitCommand({ runId, commandId, priority: 'scheduled' })).toEqual({
      isSent: false,
    });

    expect(await changeOf(under.db, runId, low.offerId)).toMatchObject({ ...HELD, valueSent: null });
  });
});
