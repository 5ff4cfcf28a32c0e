import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { ListedOffer, Marketplace } from '../../../src/domain/marketplace.js';
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
import { sumOfBuckets } from './sync-driver.js';

/** Offers that were known before and that the listing does not show. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities();
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

const OFFER = 'GET /sale/product-offers/{offerId}';

interface Scene {
  readonly shop: Shop;
  readonly sku: string;
  readonly offerIds: readonly OfferId[];
}

async function known(count: number): Promise<Scene> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 10 });
  const offerIds = await shop.offers(Array.from({ length: count }, () => ({ externalId: sku, available: 10 })));
  await shop.scanned();
  return { shop, sku, offerIds };
}

async function hide({ offerIds }: Scene, ...which: number[]): Promise<void> {
  for (const index of which) await under.allegro.admin.freezeOffer(offerIds[index] ?? '', { unlisted: true });
}

async function looks(since: number, shop: Shop): Promise<number> {
  const requests = await requestsSince(under, since, shop.seller);
  return requests.filter(({ method, route }) => `${method} ${route}` === OFFER).length;
}

async function closed({ accountId }: Shop, runId: RunId) {
  const closing = { accountId, runId, failure: null, accountName: 'Shop', end: 'done', mode: 'live' } as const;
  return (await under.act.closeRun(closing)).result;
}

test('an offer that is there after all is judged as it is, and counted once like any other', async () => {
  const scene = await known(3);
  const { shop, sku, offerIds } = scene;
  await stock(under, { [sku]: 4 });
  await hide(scene, 1);
  const start = await journalEnd(under);

  const runId = await shop.scanned();

  expect(await looks(start, shop)).toBe(1);
  const hidden = offerIds[1];
  if (hidden === undefined) throw new Error('no offer');
  expect(await changeOf(under.db, runId, hidden)).toMatchObject({ kind: 'lower', target: 4, state: 'planned' });
  const result = await closed(shop, runId);
  expect(result).toMatchObject({ seen: 3, isComplete: true });
  expect(sumOfBuckets(result)).toBe(3);
});

test('an offer that is gone is remembered as gone and not asked for again, until it is listed again', async () => {
  const scene = await known(2);
  const { shop, offerIds } = scene;
  const [, archived] = offerIds;
  if (archived === undefined) throw new Error('no offer');
  await under.allegro.admin.editOffer(archived, { archived: true });
  const start = await journalEnd(under);

  const first = await shop.scanned();
  expect((await closed(shop, first)).seen).toBe(1);
  expect((await memoryOf(under.db, archived)).goneAt).not.toBeNull();
  await shop.scanned();
  expect(await looks(start, shop)).toBe(1);

  await under.allegro.admin.editOffer(archived, { archived: false });
  await shop.scanned();
  expect(await memoryOf(under.db, archived)).toMatchObject({ goneAt: null, lookedAt: null });
});

test('an offer that cannot be read is left for the next run; the others are judged', async () => {
  const scene = await known(3);
  const { shop, offerIds } = scene;
  await hide(scene, 0, 1);
  await under.allegro.admin.plantFault({
    match: { route: OFFER, offerId: offerIds[0] ?? '' },
    fault: { kind: 'status', status: 500 },
  });

  const runId = await shop.scanned();

  expect((await closed(shop, runId)).seen).toBe(2);
  await under.allegro.admin.removeFaults();
  expect((await closed(shop, await shop.scanned())).seen).toBe(3);
});

test('when none of many answers, the marketplace is away', async () => {
  const scene = await known(9);
  await hide(scene, 0, 1, 2, 3, 4, 5, 6, 7);
  await under.allegro.admin.plantFault({
    match: { route: OFFER, sellerId: scene.shop.seller },
    fault: { kind: 'status', status: 503 },
  });
  expect(await failureClass(scene.shop.scanned())).toBe('MarketplaceUnavailable');
});

test('what was learnt is kept when the rest could not be asked', async () => {
  const scene = await known(4);
  const { shop, offerIds } = scene;
  await hide(scene, 0, 1, 2);
  const { marketplace } = under.services;
  const full: Marketplace = {
    ...marketplace,
    readOffer: (call, offerId) =>
      offerId === offerIds[2]
        ? Promise.reject(new SyncError('RateLimited', 'full', { retryInMs: 5_000 }))
        : marketplace.readOffer(call, offerId),
  };
  const runId = await shop.open();
  const { cursor } = await under.act.scanOffers({ runId, cursor: { position: 0 }, priority: 'scheduled' });
  if (cursor === null) throw new Error('nothing is missing');
  const rest = { runId, cursor, priority: 'scheduled' } as const;

  expect(await failureClass(under.with({ marketplace: full }).scanOffers(rest))).toBe('RateLimited');
  const start = await journalEnd(under);
  expect(await under.act.scanOffers(rest)).toMatchObject({ seen: 1, cursor: null });
  expect(await looks(start, shop)).toBe(1);
});

test('more than a hundred are asked for in parts', async () => {
  const scene = await known(130);
  const { shop } = scene;
  await hide(scene, ...Array.from({ length: 125 }, (_, index) => index));
  const runId = await shop.open();
  const seen: number[] = [];
  let cursor: Awaited<ReturnType<typeof under.act.scanOffers>>['cursor'] = { position: 0 };
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof under.act.scanOffers>> = await under.act.scanOffers({
      runId,
      cursor,
      priority: 'scheduled',
    });
    seen.push(page.seen);
    ({ cursor } = page);
  }
  expect(seen).toEqual([5, 100, 25]);
});

test('so many that the run cannot ask for all leave it incomplete', async () => {
  const scene = await known(102);
  await hide(scene, ...scene.offerIds.keys());
  const runId = await scene.shop.open();
  const nearTheEnd = { position: 0, missing: { looked: 2_950, total: 0 } };

  const last = await under.act.scanOffers({ runId, cursor: nearTheEnd, priority: 'scheduled' });

  expect(last).toMatchObject({ cursor: null, seen: 100 });
  expect(await closed(scene.shop, runId)).toMatchObject({ seen: 100, isComplete: false });
});

test('a run for chosen SKUs asks for offers of these SKUs alone', async () => {
  const scene = await known(2);
  const { shop, sku } = scene;
  const other = await shop.offer({ externalId: shop.sku() });
  await shop.scanned();
  await hide(scene, 0);
  await under.allegro.admin.freezeOffer(other, { unlisted: true });
  const start = await journalEnd(under);

  const runId = await shop.scanned({ skus: [sku] });

  expect(await looks(start, shop)).toBe(1);
  expect((await closed(shop, runId)).seen).toBe(2);
});

test('an offer that was added while the pages were read is met by reading the first page again', async () => {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 10 });
  await shop.offers([{ externalId: sku }, { externalId: sku }, { externalId: sku }]);
  const { marketplace } = under.services;
  let calls = 0;
  // The first answer misses the newest offer and shows another row twice, as two pages with a move between them do.
  const moving: Marketplace = {
    ...marketplace,
    listOffers: async (call, page) => {
      const answer = await marketplace.listOffers(call, page);
      calls += 1;
      const [newest, ...rest]: readonly ListedOffer[] = answer.offers;
      const twice = rest[0];
      if (calls > 1 || newest === undefined || twice === undefined) return answer;
      return { ...answer, offers: [twice, ...rest] };
    },
  };
  const runId = await shop.open();

  await under.with({ marketplace: moving }).scanOffers({ runId, cursor: { position: 0 }, priority: 'scheduled' });

  expect(calls).toBe(2);
  expect(await closed(shop, runId)).toMatchObject({ seen: 3, isComplete: true });
});
