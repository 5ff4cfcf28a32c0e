import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { RunId } from '../../../src/domain/ids.js';
import type { Marketplace } from '../../../src/domain/marketplace.js';
import { setStock } from '../../../src/storage/stock.js';
import {
  changeOf,
  failureClass,
  journalEnd,
  memoryOf,
  requestsSince,
  runOf,
  setUpActivities,
  stock,
  SYNC,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities();
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const FIRST = { cursor: { position: 0 }, priority: 'scheduled' } as const;
const LISTING = 'GET /sale/offers';
const OFFER = 'GET /sale/product-offers/{offerId}';
const PARTS = 'GET /sale/product-offers/{offerId}/parts';

async function closed(shop: Shop, runId: RunId) {
  const { accountId } = shop;
  const closing = { accountId, runId, failure: null, accountName: 'Shop' };
  return (await under.act.closeRun({ ...closing, end: 'done', mode: 'live' })).result;
}

async function routesSince(since: number, shop: Shop): Promise<string[]> {
  return (await requestsSince(under, since, shop.seller)).map(({ method, route }) => `${method} ${route}`);
}

describe('listing', () => {
  test('each offer is counted once, each in its bucket, and each that differs has one planned change', async () => {
    const shop = await under.shop();
    const [same, lower, zero] = [shop.sku(), shop.sku(), shop.sku()];
    await stock(under, { [same]: 10, [lower]: 4, [zero]: 0 });
    const offers = await shop.offers([
      { externalId: same },
      { externalId: ` ${lower}\t` },
      { externalId: zero },
      { externalId: null },
      { externalId: 'no-such-row' },
      { externalId: same, format: 'AUCTION' },
      { externalId: same, isFulfillment: true },
      { externalId: same, status: 'INACTIVE' },
    ]);

    const runId = await shop.scanned();

    const result = await closed(shop, runId);
    expect(result).toMatchObject({ seen: 8, isComplete: true });
    expect(result.buckets).toMatchObject({ in_sync: 1, skipped: 5, pending: 2 });
    expect(result.skipped).toEqual({ no_sku: 1, unknown_sku: 1, not_buy_now: 1, fulfillment: 1, draft: 1 });
    const [, lowered, ended] = offers;
    if (lowered === undefined || ended === undefined) throw new Error('no offers');
    expect(await changeOf(under.db, runId, lowered)).toMatchObject({ kind: 'lower', target: 4, state: 'planned' });
    expect(await changeOf(under.db, runId, ended)).toMatchObject({ kind: 'end', target: 0, state: 'planned' });
  });

  test('2,500 offers take three pages, and a repetition after a crash counts nobody twice', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 9 });
    await shop.offers(Array.from({ length: 2_500 }, () => ({ externalId: sku })));
    const runId = await shop.open();
    const before = await journalEnd(under);

    const first = await under.act.scanOffers({ runId, ...FIRST });
    const again = await under.act.scanOffers({ runId, ...FIRST });

    expect(first).toEqual({ cursor: null, seen: 2_500, differing: 2_500, total: 2_500 });
    expect(again).toEqual({ cursor: null, seen: 0, differing: 0, total: 2_500 });
    expect(await routesSince(before, shop)).toEqual(Array.from({ length: 6 }, () => LISTING));
    expect(await closed(shop, runId)).toMatchObject({ seen: 2_500, isComplete: true });
  });

  test('a page that cannot be read is a failure, not an empty shop', async () => {
    const shop = await under.shop();
    await shop.offer({ externalId: null });
    const runId = await shop.open();
    await under.allegro.admin.plantFault({
      match: { route: LISTING, sellerId: shop.seller },
      fault: { kind: 'status', status: 503 },
    });

    expect(await failureClass(under.act.scanOffers({ runId, ...FIRST }))).toBe('MarketplaceUnavailable');
    expect((await runOf(under.db, runId)).isComplete).toBe(false);
  });

  test('a listing that shows fewer offers than it counts is not complete, and nothing is concluded from it', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    await shop.offers([{ externalId: sku }, { externalId: sku }]);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      listOffers: async (call, page) => {
        const { offers } = await under.services.marketplace.listOffers(call, page);
        return { offers: offers.slice(0, 1), totalCount: 2 };
      },
    };
    const runId = await shop.open();

    await under.with({ marketplace }).scanOffers({ runId, ...FIRST });

    const result = await closed(shop, runId);
    expect(result).toMatchObject({ seen: 1, isComplete: false, outcome: 'problems' });
    const account = await under.db
      .selectFrom('accounts')
      .select(['lastCompleteAt', 'lastCompleteActive'])
      .where('id', '=', shop.accountId)
      .executeTakeFirstOrThrow();
    expect(account).toEqual({ lastCompleteAt: null, lastCompleteActive: null });
  });

  test('a row shown on two pages because the list moved is counted once', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    await shop.offers([{ externalId: sku }, { externalId: sku }]);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      listOffers: async (call, page) => {
        const { offers } = await under.services.marketplace.listOffers(call, page);
        return { offers: [...offers, ...offers], totalCount: 2 };
      },
    };
    const runId = await shop.open();

    expect(await under.with({ marketplace }).scanOffers({ runId, ...FIRST })).toMatchObject({ seen: 2 });
    expect(await closed(shop, runId)).toMatchObject({ seen: 2, isComplete: true });
  });

  test('names and SKUs with characters that no text in PostgreSQL can hold are stored all the same', async () => {
    const shop = await under.shop();
    const offerId = await shop.offer({ externalId: 'A\0B', name: `long \0 ${'ź'.repeat(5000)} \ud800` });

    const runId = await shop.scanned();

    expect(await memoryOf(under.db, offerId)).toMatchObject({ reason: 'unknown_sku', lastRunId: runId });
  });
});

describe('chosen SKUs', () => {
  test('are read in batches, each offer of a SKU is found, and nothing is concluded about the others', async () => {
    const shop = await under.shop();
    const skus = [shop.sku(), shop.sku(), shop.sku()];
    const [first = '', second = '', third = ''] = skus;
    await stock(under, { [first]: 3, [second]: 10, [third]: 10 });
    await shop.offers([
      { externalId: first },
      { externalId: first },
      { externalId: second },
      { externalId: third },
      { externalId: shop.sku() },
    ]);
    const runId = await shop.open({ skus: [first, ` ${second} `, third, first, ' '] });
    const act = under.with({ sync: { ...SYNC, batchSize: 2 } });

    let cursor: { position: number } | null = { position: 0 };
    let calls = 0;
    while (cursor !== null) {
      ({ cursor } = await act.scanOffers({ runId, cursor, priority: 'adhoc' }));
      calls += 1;
    }

    expect(calls).toBe(2);
    const result = await closed(shop, runId);
    expect(result).toMatchObject({ seen: 4, isComplete: true });
    expect(result.buckets).toMatchObject({ in_sync: 2, pending: 2 });
    const account = await under.db
      .selectFrom('accounts')
      .select(['lastCompleteAt'])
      .where('id', '=', shop.accountId)
      .executeTakeFirstOrThrow();
    expect(account.lastCompleteAt).toBeNull();
  });
});

describe('offers that are looked at themselves', () => {
  test('an ended offer is asked once who ended it; the answer is remembered for that ending', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 7 });
    const bySeller = await shop.offer({ externalId: sku, status: 'ENDED', endedBy: 'USER', available: 2 });
    const byStock = await shop.offer({ externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    const start = await journalEnd(under);

    const first = await shop.scanned();
    const between = await journalEnd(under);
    const second = await shop.scanned();

    expect((await routesSince(start, shop)).filter((route) => route === OFFER)).toHaveLength(2);
    expect(await routesSince(between, shop)).toEqual([LISTING]);
    for (const runId of [first, second]) {
      expect(await changeOf(under.db, runId, byStock)).toMatchObject({ kind: 'reactivate', target: 7 });
    }
    expect(await memoryOf(under.db, bySeller)).toMatchObject({ bucket: 'skipped', reason: 'ended_by_other' });
  });

  test('a listing that shows the number from before our write is decided by the offer itself', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    const offerId = await shop.offer({ externalId: sku, available: 3 });
    const written = await shop.scanned();
    await under.act.checkGuards({ runId: written });
    const { phases } = await under.act.planWrites({ runId: written });
    await under.act.updateOfferBatch({ runId: written, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' });
    await closed(shop, written);
    await under.allegro.admin.freezeOffer(offerId, { available: 3 });
    const start = await journalEnd(under);

    const runId = await shop.scanned();

    expect(await routesSince(start, shop)).toEqual([LISTING, PARTS]);
    expect((await closed(shop, runId)).buckets).toMatchObject({ in_sync: 1 });
  });

  test('one offer that answers with server errors is left for the next run; the others go on', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 7 });
    const ended = { externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 } as const;
    const [broken, fine] = await shop.offers([ended, ended]);
    if (broken === undefined || fine === undefined) throw new Error('no offers');
    await under.allegro.admin.plantFault({
      match: { route: OFFER, offerId: broken },
      fault: { kind: 'status', status: 500 },
    });

    const runId = await shop.scanned();

    expect(await changeOf(under.db, runId, fine)).toMatchObject({ kind: 'reactivate' });
    expect(await memoryOf(under.db, broken)).toMatchObject({
      bucket: 'pending',
      reason: 'unreadable: MarketplaceUnavailable',
    });
    // It differs all the same, so that it is not written has its place in the history.
    expect(await changeOf(under.db, runId, broken)).toMatchObject({
      kind: 'reactivate',
      state: 'superseded',
      reason: 'unreadable: MarketplaceUnavailable',
      target: 7,
      valueSent: null,
    });
    expect((await closed(shop, runId)).buckets).toMatchObject({ pending: 2 });
  });

  test('when no offer answers, the marketplace is away: nothing is counted', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 7 });
    await shop.offers(
      Array.from(
        { length: 9 },
        () => ({ externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 }) as const,
      ),
    );
    await under.allegro.admin.plantFault({
      match: { route: OFFER, sellerId: shop.seller },
      fault: { kind: 'status', status: 503 },
    });
    const runId = await shop.open();

    expect(await failureClass(under.act.scanOffers({ runId, ...FIRST }))).toBe('MarketplaceUnavailable');
    expect((await closed(shop, runId)).seen).toBe(0);
  });

  test('what was learnt is kept when the rest could not be asked', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 7 });
    const ended = { externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 } as const;
    const [asked, unasked] = await shop.offers([ended, ended]);
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      readOffer: (call, offerId) =>
        offerId === unasked
          ? Promise.reject(new SyncError('RateLimited', 'full', { retryInMs: 5_000 }))
          : under.services.marketplace.readOffer(call, offerId),
    };
    const runId = await shop.open();

    const first = await under.with({ marketplace }).scanOffers({ runId, ...FIRST });
    expect(first).toMatchObject({ seen: 1, differing: 1, cursor: FIRST.cursor, wait: { ms: 5_000, why: 'full' } });
    const start = await journalEnd(under);
    expect(await under.act.scanOffers({ runId, ...FIRST })).toMatchObject({ seen: 1, cursor: null });

    expect(await routesSince(start, shop)).toEqual([LISTING, OFFER]);
    if (asked === undefined) throw new Error('no offer');
    expect(await changeOf(under.db, runId, asked)).toMatchObject({ kind: 'reactivate' });
  });

  test('an offer that cannot be read settles nothing that an earlier run has left open', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 12 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    const first = await shop.scanned();
    await under.db
      .updateTable('offerChanges')
      .set({ state: 'sending', valueSent: 12, sentAt: new Date() })
      .where('runId', '=', first)
      .execute();
    await under.allegro.admin.plantFault({
      match: { route: OFFER, offerId },
      fault: { kind: 'status', status: 500 },
    });

    await shop.scanned();
    expect(await changeOf(under.db, first, offerId)).toMatchObject({ state: 'sending' });

    await under.allegro.admin.removeFaults();
    await shop.scanned();
    expect(await changeOf(under.db, first, offerId)).toMatchObject({ state: 'superseded', reason: 'read_later' });
  });

  test.each([
    { how: 'a zero, which ends as EMPTY_STOCK', endsByStatus: false, bucket: 'skipped' },
    { how: 'its publication status, which ends as USER', endsByStatus: true, bucket: 'change' },
  ])('an offer ended by USER while our ending by $how has no known outcome', async ({ endsByStatus, bucket }) => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 0 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    const first = await shop.scanned();
    await under.db
      .updateTable('offerChanges')
      .set({ state: 'sending', valueSent: 0, endsByStatus, sentAt: new Date() })
      .where('runId', '=', first)
      .execute();
    await under.allegro.admin.editOffer(offerId, { status: 'ENDED', endedBy: 'USER' });
    await stock(under, { [sku]: 7 });

    await shop.scanned();

    expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket, endedBy: 'USER' });
    await shop.scanned();
    expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket, endedBy: 'USER' });
  });

  test('an offer that sold out, and could not be read at once, is known to have sold out when it can be', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 1 });
    const offerId = await shop.offer({ externalId: sku, available: 1 });
    await shop.scanned();
    await under.allegro.admin.sell({ offerId, quantity: 1 });
    await stock(under, { [sku]: 5 });
    await under.allegro.admin.plantFault({ match: { route: OFFER, offerId }, fault: { kind: 'cutBefore' } });
    await shop.scanned();
    expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket: 'pending' });
    await under.allegro.admin.removeFaults();

    const runId = await shop.scanned();

    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ kind: 'reactivate', state: 'planned', target: 5 });
  });

  test('a listing that shows another SKU than the offer itself is not acted on', async () => {
    const shop = await under.shop();
    const [old, real] = [shop.sku(), shop.sku()];
    await stock(under, { [old]: 7, [real]: 0 });
    const offerId = await shop.offer({ externalId: real, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 });
    await under.allegro.admin.freezeOffer(offerId, { externalId: old });

    const runId = await shop.scanned();

    expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket: 'pending', lastRunId: runId });
  });

  test('a known offer that is listed under another SKU is asked before its number is changed', async () => {
    const shop = await under.shop();
    const [own, other] = [shop.sku(), shop.sku()];
    await stock(under, { [own]: 7, [other]: 3 });
    const [mixedUp, relabelled] = await shop.offers([
      { externalId: own, available: 7 },
      { externalId: own, available: 7 },
    ]);
    if (mixedUp === undefined || relabelled === undefined) throw new Error('no offers');
    await shop.scanned();
    await under.allegro.admin.freezeOffer(mixedUp, { externalId: other });
    await under.allegro.admin.editOffer(relabelled, { externalId: other });
    const start = await journalEnd(under);

    const runId = await shop.scanned();

    expect(await routesSince(start, shop)).toEqual([LISTING, OFFER, OFFER]);
    expect(await memoryOf(under.db, mixedUp)).toMatchObject({ bucket: 'pending' });
    expect(await changeOf(under.db, runId, relabelled)).toMatchObject({ kind: 'lower', target: 3 });
    await shop.scanned();
    expect(await memoryOf(under.db, mixedUp)).toMatchObject({ bucket: 'pending' });
  });

  test('an offer that shows another SKU than we know it by is not lowered by the stock of the old one', async () => {
    const shop = await under.shop();
    const [old, real] = [shop.sku(), shop.sku()];
    await stock(under, { [old]: 7, [real]: 20 });
    const offerId = await shop.offer({ externalId: old, available: 7 });
    await stock(under, { [old]: 2 });
    const first = await shop.scanned();
    // A write without a known outcome: the offer itself is asked.
    await under.db
      .updateTable('offerChanges')
      .set({ state: 'sending', valueSent: 6, sentAt: new Date() })
      .where('runId', '=', first)
      .execute();
    await under.allegro.admin.freezeOffer(offerId);
    await under.allegro.admin.editOffer(offerId, { externalId: real, available: 20 });

    const runId = await shop.scanned();

    expect(await memoryOf(under.db, offerId)).toMatchObject({
      bucket: 'pending',
      reason: 'unreadable: InvalidAnswer',
      knownSku: old,
    });
    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ state: 'superseded', valueSent: null });
  });

  test('an offer listed under another SKU is asked, though the stock of that happens to be the same', async () => {
    const shop = await under.shop();
    const [own, other] = [shop.sku(), shop.sku()];
    await stock(under, { [own]: 7, [other]: 7 });
    const offerId = await shop.offer({ externalId: own, available: 7 });
    await shop.scanned();
    await under.allegro.admin.freezeOffer(offerId, { externalId: other });

    await shop.scanned();

    expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket: 'pending', sku: other, knownSku: own });
  });

  test('a worker that slept with its page stores nothing that was seen later', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 8 });
    const ended = { externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 } as const;
    const offerId = await shop.offer(ended);
    const runId = await shop.open();
    const scan = { runId, cursor: { position: 0 }, priority: 'scheduled' } as const;
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      async readOffer(call, id) {
        const seen = await under.services.marketplace.readOffer(call, id);
        await under.act.scanOffers(scan);
        await under.db.updateTable('offers').set({ knownAvailable: 8 }).where('offerId', '=', offerId).execute();
        return seen;
      },
    };

    await under.with({ marketplace }).scanOffers(scan);

    expect(await memoryOf(under.db, offerId)).toMatchObject({ knownAvailable: 8, lastRunId: runId });
  });

  test('a run that was overtaken while it read stores nothing', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 8 });
    const offerId = await shop.offer({ externalId: sku, available: 3 });
    const older = await shop.open();
    let newer: RunId | null = null;
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      async listOffers(call, page) {
        const seen = await under.services.marketplace.listOffers(call, page);
        newer ??= await shop.scanned();
        return seen;
      },
    };
    const scan = { runId: older, cursor: { position: 0 }, priority: 'scheduled' } as const;

    expect(await failureClass(under.with({ marketplace }).scanOffers(scan))).toBe('Superseded');

    expect(await memoryOf(under.db, offerId)).toMatchObject({ lastRunId: newer });
    const rows = await under.db.selectFrom('offerChanges').select('runId').where('offerId', '=', offerId).execute();
    expect(rows).toEqual([{ runId: newer }]);
  });

  test.each(['cutBefore', 'cutMiddle'] as const)('one offer whose answer is lost (%s) hides no other', async (kind) => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 7 });
    const ended = { externalId: sku, status: 'ENDED', endedBy: 'EMPTY_STOCK', available: 0 } as const;
    const [silent, other] = await shop.offers([ended, ended]);
    if (silent === undefined || other === undefined) throw new Error('no offers');
    await under.allegro.admin.plantFault({ match: { route: OFFER, offerId: silent }, fault: { kind } });

    const runId = await shop.scanned();

    expect(await memoryOf(under.db, silent)).toMatchObject({ bucket: 'pending', lastRunId: runId });
    expect(await changeOf(under.db, runId, other)).toMatchObject({ kind: 'reactivate' });
    await under.allegro.admin.removeFaults();
  });
});

describe('sales that the stock does not know of', () => {
  test('hold raises until the stock row changes, and never lowerings', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    await shop.scanned();
    await under.allegro.admin.sell({ offerId, quantity: 3 });

    const held = await shop.scanned();
    const stillHeld = await shop.scanned();
    for (const runId of [held, stillHeld]) {
      expect(await changeOf(under.db, runId, offerId)).toMatchObject({
        kind: 'raise',
        state: 'held',
        reason: 'unbooked_sale',
      });
    }

    await stock(under, { [sku]: 5 });
    expect(await changeOf(under.db, await shop.scanned(), offerId)).toMatchObject({ kind: 'lower', state: 'planned' });
    await stock(under, { [sku]: 8 });
    expect(await changeOf(under.db, await shop.scanned(), offerId)).toMatchObject({ kind: 'raise', state: 'planned' });
  });

  test('a stock change that came in the middle of the scan is no booking of a later sale', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 5 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    // The row changes after the scan has begun and before it reads the stock.
    const marketplace: Marketplace = {
      ...under.services.marketplace,
      listOffers: async (call, page) => {
        const answer = await under.services.marketplace.listOffers(call, page);
        await setStock(under.db, { sku, warehouse: 'main', quantity: 10 });
        return answer;
      },
    };
    const first = await shop.open();
    await under.with({ marketplace }).scanOffers({ runId: first, ...FIRST });
    expect((await closed(shop, first)).buckets).toMatchObject({ in_sync: 1 });

    await under.allegro.admin.sell({ offerId, quantity: 1 });

    expect(await changeOf(under.db, await shop.scanned(), offerId)).toMatchObject({
      state: 'held',
      reason: 'unbooked_sale',
    });
  });

  test('patience ends', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 10 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    await shop.scanned();
    await under.allegro.admin.sell({ offerId, quantity: 3 });
    await shop.scanned();
    const impatient = under.with({ sync: { ...SYNC, unbookedSalePatienceSeconds: 0 } });

    const runId = await shop.open();
    await impatient.scanOffers({ runId, ...FIRST });

    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ kind: 'raise', state: 'planned' });
  });

  test('what was left after a raise without an answer had arrived and sold is not raised again', async () => {
    const shop = await under.shop();
    const sku = shop.sku();
    await stock(under, { [sku]: 12 });
    const offerId = await shop.offer({ externalId: sku, available: 10 });
    const first = await shop.scanned();
    await under.db
      .updateTable('offerChanges')
      .set({ state: 'sending', valueSent: 12, sentAt: new Date() })
      .where('runId', '=', first)
      .execute();
    // It has arrived, and one piece was sold since.
    await under.allegro.admin.editOffer(offerId, { available: 11 });

    const runId = await shop.scanned();

    expect(await changeOf(under.db, runId, offerId)).toMatchObject({ state: 'held', reason: 'unbooked_sale' });
  });
});

test('a stock row that has gone is skipped, not taken for 0', async () => {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 10 });
  const offerId = await shop.offer({ externalId: sku, available: 10 });
  await shop.scanned();
  await under.db.deleteFrom('stockLevels').where('sku', '=', sku).execute();

  await shop.scanned();

  expect(await memoryOf(under.db, offerId)).toMatchObject({ bucket: 'skipped', reason: 'unknown_sku', hadStock: true });
});

test('a scan in preview plans the same and leaves nothing to be sent', async () => {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 2 });
  await shop.offer({ externalId: sku, available: 10 });
  const runId = await shop.scanned({ isPreview: true });

  expect(await under.act.planWrites({ runId })).toEqual({ phases: [] });
  expect((await closed(shop, runId)).buckets).toMatchObject({ would_lower: 1 });
});
