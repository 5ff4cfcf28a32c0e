import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
import type { OfferId } from '../../../src/domain/ids.js';
import { listIncidents, resolveIncident } from '../../../src/storage/incidents.js';
import type { AccountResult } from '../../../src/workflows/api.js';
import {
  changeOf,
  journalEnd,
  requestsSince,
  setUpActivities,
  stock,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

/** Another program sets our values back. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({ operationDelayMs: 1 });
});
afterAll(() => under.close());

interface Scene {
  readonly shop: Shop;
  readonly sku: string;
  readonly offerId: OfferId;
}

async function aShop(available: number): Promise<Scene> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 5 });
  return { shop, sku, offerId: await shop.offer({ externalId: sku, available }) };
}

async function ran({ shop }: Scene): Promise<AccountResult> {
  const result = await driveSync(under.act, { accountId: shop.accountId, runId: await shop.open() });
  expect(result.failure).toBeNull();
  return result;
}

async function shown({ offerId }: Scene): Promise<number> {
  return (await under.allegro.admin.offer(offerId)).available;
}

/** Three runs whose value somebody else has set back after each. */
async function fought(scene: Scene, theirs: number): Promise<void> {
  for (let run = 1; run <= 3; run += 1) {
    await ran(scene);
    expect(await shown(scene)).toBe(5);
    await under.allegro.admin.editOffer(scene.offerId, { available: theirs });
  }
}

async function contestsOf({ shop }: Scene) {
  return listIncidents(under.db, { accountId: shop.accountId, limit: 10 });
}

async function messagesOf({ shop }: Scene) {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message).filter((message) => message['accountId'] === shop.accountId);
}

async function writesSince(scene: Scene, since: number) {
  return (await requestsSince(under, since, scene.shop.seller)).filter(({ method }) => method !== 'GET');
}

test('at the third time our writes stop and a person is told; the incident resolved, they begin again', async () => {
  const scene = await aShop(9);
  await fought(scene, 9);

  const start = await journalEnd(under);
  const fourth = await ran(scene);
  const fifth = await ran(scene);
  await stock(under, { [scene.sku]: 4 });
  const sixth = await ran(scene);

  expect(await writesSince(scene, start)).toEqual([]);
  for (const run of [fourth, fifth, sixth]) expect(run.skipped).toEqual({ quarantined: 1 });
  const [incident] = await contestsOf(scene);
  expect(incident).toMatchObject({ class: 'OfferContested', state: 'open', occurrences: 3, offerId: scene.offerId });
  expect(await messagesOf(scene)).toEqual([
    expect.objectContaining({
      kind: 'offer_failures',
      failures: [
        expect.objectContaining({
          offerId: scene.offerId,
          sku: scene.sku,
          current: 9,
          target: 5,
          piecesAtRisk: 4,
          errorClass: 'OfferContested',
          action: expect.stringContaining('incidents resolve'),
        }),
      ],
    }),
  ]);

  await resolveIncident(under.db, incident?.id ?? '');
  const seventh = await ran(scene);
  expect(seventh.buckets).toMatchObject({ lowered: 1 });
  expect(await shown(scene)).toBe(4);
});

test('a fight over fewer pieces is met too, and is over when the offer is right', async () => {
  const scene = await aShop(3);
  for (let run = 1; run <= 3; run += 1) {
    // Written after the number fell: else it is held as a sale that is not booked.
    await stock(under, { [scene.sku]: 6 });
    await stock(under, { [scene.sku]: 5 });
    expect((await ran(scene)).buckets).toMatchObject({ raised: 1 });
    await under.allegro.admin.editOffer(scene.offerId, { available: 3 });
  }
  await stock(under, { [scene.sku]: 6 });
  await stock(under, { [scene.sku]: 5 });

  const fourth = await ran(scene);
  expect(fourth.skipped).toEqual({ quarantined: 1 });
  expect(await shown(scene)).toBe(3);

  await under.allegro.admin.editOffer(scene.offerId, { available: 5 });
  expect((await ran(scene)).buckets).toMatchObject({ in_sync: 1 });
  expect(await contestsOf(scene)).toMatchObject([{ class: 'OfferContested', state: 'resolved' }]);
  expect((await messagesOf(scene)).map((message) => message['kind'])).toEqual(['offer_failures', 'resolved']);
});

test('a busy day of sales and deliveries is no fight', async () => {
  const scene = await aShop(9);
  for (let run = 1; run <= 5; run += 1) {
    await stock(under, { [scene.sku]: 5 });
    const { buckets } = await ran(scene);
    expect(buckets.skipped).toBe(0);
    expect(await shown(scene)).toBe(5);
    await under.allegro.admin.sell({ offerId: scene.offerId, quantity: 2 });
    await stock(under, { [scene.sku]: 3 });
    await ran(scene);
  }
  expect(await contestsOf(scene)).toEqual([]);
});

test('a listing that lags behind our writes is no fight', async () => {
  const scene = await aShop(9);
  await fought(scene, 9);
  // They gave up, and the listing does not know it yet.
  const act = under.with({
    marketplace: {
      ...under.services.marketplace,
      listOffers: async (call, page) => {
        const { offers, totalCount } = await under.services.marketplace.listOffers(call, page);
        return { offers: offers.map((offer) => ({ ...offer, available: 9 })), totalCount };
      },
    },
  });
  await under.allegro.admin.editOffer(scene.offerId, { available: 5 });

  const runId = await scene.shop.open();
  const result = await driveSync(act, { accountId: scene.shop.accountId, runId });

  expect(result.buckets).toMatchObject({ in_sync: 1, skipped: 0 });
  expect(await contestsOf(scene)).toEqual([]);
});

test('what a lagging listing showed of an offer that could not be read is no fight', async () => {
  const scene = await aShop(9);
  const away = (): never => {
    throw new SyncError('InvalidAnswer', 'not an offer');
  };
  const { marketplace } = under.services;
  let listed = 9;
  const unread = under.with({
    marketplace: {
      ...marketplace,
      listOffers: async (call, page) => {
        const { offers, totalCount } = await marketplace.listOffers(call, page);
        return { offers: offers.map((offer) => ({ ...offer, available: listed })), totalCount };
      },
      readAvailable: away,
      readOffer: away,
    },
  });
  for (const quantity of [5, 4, 3]) {
    await stock(under, { [scene.sku]: quantity });
    await ran(scene);
    const runId = await scene.shop.open();
    await driveSync(unread, { accountId: scene.shop.accountId, runId });
    expect(await changeOf(under.db, runId, scene.offerId)).toMatchObject({
      state: 'superseded',
      reason: 'unreadable: InvalidAnswer',
      valueBefore: listed,
      target: quantity,
    });
    listed = quantity;
  }

  // Set back once, not three times.
  await under.allegro.admin.editOffer(scene.offerId, { available: 9 });
  await ran(scene);

  expect(await shown(scene)).toBe(3);
  expect(await contestsOf(scene)).toEqual([]);
});

test('what was left for others has its row in the history', async () => {
  const scene = await aShop(9);
  await fought(scene, 9);
  const { runId } = await ran(scene);
  if (runId === null) throw new Error('no run');

  expect(await changeOf(under.db, runId as Parameters<typeof changeOf>[1], scene.offerId)).toMatchObject({
    state: 'superseded',
    reason: 'skipped:quarantined',
    errorClass: 'OfferContested',
    valueSent: null,
  });
});
