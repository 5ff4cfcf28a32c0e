import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import type { Marketplace } from '../../../src/domain/marketplace.js';
import {
  changeOf,
  journalEnd,
  memoryOf,
  requestsSince,
  setUpActivities,
  stock,
  SYNC,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

/** Who set an offer to nothing decides whether it comes back. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({ endingDelayMs: 1, operationDelayMs: 1 }, { isUnpaced: true });
});
afterEach(() => under.allegro.admin.removeFaults());
afterAll(() => under.close());

interface Scene {
  readonly shop: Shop;
  readonly sku: string;
  readonly offerId: OfferId;
}

/** An offer that shows its stock of 5, seen so by a run. */
async function inSync(): Promise<Scene> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 5 });
  const offerId = await shop.offer({ externalId: sku, available: 5, sold: 3 });
  await shop.scanned();
  return { shop, sku, offerId };
}

/** A whole run, with what one piece on the account's offers may end. */
async function ran({ shop }: Scene): Promise<RunId> {
  const runId = await shop.open();
  const act = under.with({ sync: { ...SYNC, guardMaxEndedPercent: 100 } });
  const result = await driveSync(act, { accountId: shop.accountId, runId });
  expect(result.failure).toBeNull();
  return runId;
}

async function setToNothing({ offerId }: Scene): Promise<void> {
  await under.allegro.admin.editOffer(offerId, {
    available: 0,
    status: 'ENDED',
    endedBy: 'EMPTY_STOCK',
    endedAt: Date.now(),
  });
}

const LEFT_ALONE = { bucket: 'skipped', reason: 'ended_by_other' };

test('a zero that somebody else has set stays, however often it is met, and is asked for once', async () => {
  const scene = await inSync();
  await setToNothing(scene);
  // The number fell, so it is held as a sale until the row changes.
  await stock(under, { [scene.sku]: 6 });

  await scene.shop.scanned();
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);

  const start = await journalEnd(under);
  await ran(scene);
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
  expect(await requestsSince(under, start, scene.shop.seller)).toHaveLength(1);
  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ENDED', available: 0 });
});

test('so does one that the marketplace has not carried out yet', async () => {
  const scene = await inSync();
  await under.allegro.admin.editOffer(scene.offerId, { available: 0 });
  await stock(under, { [scene.sku]: 6 });

  await scene.shop.scanned();
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);

  await setToNothing(scene);
  await scene.shop.scanned();
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
});

test('an offer that was sold out comes back when there is stock again', async () => {
  const scene = await inSync();
  await under.allegro.admin.sell({ offerId: scene.offerId, quantity: 5, lowersTruth: true });
  await stock(under, { [scene.sku]: 0 });
  await scene.shop.scanned();
  await stock(under, { [scene.sku]: 4 });

  await ran(scene);

  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
});

test('so does one that was sold out again after we had brought it back, however often it was seen since', async () => {
  const scene = await inSync();
  const { sku, offerId } = scene;
  for (const pieces of [5, 4]) {
    await under.allegro.admin.sell({ offerId, quantity: pieces, lowersTruth: true });
    await stock(under, { [sku]: 0 });
    await ran(scene);
    await ran(scene);
    await stock(under, { [sku]: pieces - 1 });
    await ran(scene);
    expect(await under.allegro.admin.offer(offerId)).toMatchObject({ status: 'ACTIVE', available: pieces - 1 });
  }
});

test('so does one that we have set to 0, also when the answer to our zero was lost', async () => {
  for (const fault of [null, { kind: 'cutAfter' } as const]) {
    const scene = await inSync();
    await stock(under, { [scene.sku]: 0 });
    if (fault !== null) {
      const match = { route: 'PATCH /sale/product-offers/{offerId}', offerId: scene.offerId, times: 1 };
      await under.allegro.admin.plantFault({ match, fault });
    }
    await ran(scene);
    expect((await under.allegro.admin.offer(scene.offerId)).available).toBe(0);
    await stock(under, { [scene.sku]: 4 });

    await ran(scene);

    expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
  }
});

test.each([
  ['sold out', false],
  ['ended by our command', true],
])('a return that is answered as done and not carried out is asked for again (%s)', async (_, endings) => {
  const scene = await inSync();
  const { shop, sku, offerId } = scene;
  if (endings) await under.allegro.admin.editOffer(offerId, { rejection: { commands: true } });
  else await under.allegro.admin.sell({ offerId, quantity: 5, lowersTruth: true });
  await stock(under, { [sku]: 0 });
  await ran(scene);
  expect(await under.allegro.admin.offer(offerId)).toMatchObject({
    status: 'ENDED',
    endedBy: endings ? 'USER' : 'EMPTY_STOCK',
  });
  await under.allegro.admin.editOffer(offerId, { rejection: null });
  await stock(under, { [sku]: 4 });
  const marketplace: Marketplace = {
    ...under.services.marketplace,
    writeOffer: () => Promise.resolve({ kind: 'applied', available: 4, traceId: null }),
  };
  const runId = await shop.scanned();
  await driveSync(under.with({ marketplace }), { accountId: shop.accountId, runId });
  expect(await changeOf(under.db, runId, offerId)).toMatchObject({ kind: 'reactivate', state: 'confirmed' });

  // The number of before may have been sold.
  await stock(under, { [sku]: 3 });

  await ran(scene);

  expect(await under.allegro.admin.offer(offerId)).toMatchObject({ status: 'ACTIVE', available: 3 });
});

test('once it is back, a zero of somebody else is theirs, though ours came before', async () => {
  const scene = await inSync();
  await stock(under, { [scene.sku]: 0 });
  await ran(scene);
  await stock(under, { [scene.sku]: 4 });
  await ran(scene);
  await setToNothing(scene);
  await stock(under, { [scene.sku]: 5 });

  await ran(scene);

  expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
});

test('a zero that comes between the scan and the send is not taken back either', async () => {
  const scene = await inSync();
  await stock(under, { [scene.sku]: 0 });
  const runId = await scene.shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  await setToNothing(scene);
  await stock(under, { [scene.sku]: 6 });

  await under.act.updateOfferBatch({ runId, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' });

  expect(await changeOf(under.db, runId, scene.offerId)).toMatchObject({
    state: 'superseded',
    reason: 'skipped:ended_by_other',
  });
  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ENDED' });
});
