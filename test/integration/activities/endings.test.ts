import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SyncError } from '../../../src/domain/errors.js';
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
async function inSync(more: { republish?: boolean } = {}): Promise<Scene> {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 5 });
  const offerId = await shop.offer({ externalId: sku, available: 5, sold: 3, ...more });
  await shop.scanned();
  return { shop, sku, offerId };
}

/** What a worker works with, where what one piece on the account's offers ends is not held. */
function working(marketplace: Partial<Marketplace> = {}) {
  return under.with({
    sync: { ...SYNC, guardMaxEndedPercent: 100 },
    marketplace: { ...under.services.marketplace, ...marketplace },
  });
}

/** A whole run. */
async function ran({ shop }: Scene, marketplace: Partial<Marketplace> = {}): Promise<RunId> {
  const runId = await shop.open();
  const result = await driveSync(working(marketplace), { accountId: shop.accountId, runId });
  expect(result.failure).toBeNull();
  return runId;
}

/** What one change of a run needs to be sent. */
async function planned({ shop }: Scene) {
  const runId = await shop.scanned();
  const { phases } = await under.act.planWrites({ runId });
  return { runId, batch: phases[0]?.batches[0] ?? 0, priority: 'scheduled' } as const;
}

async function setToNothing({ offerId }: Scene, endedAt = Date.now()): Promise<void> {
  await under.allegro.admin.editOffer(offerId, {
    available: 0,
    status: 'ENDED',
    endedBy: 'EMPTY_STOCK',
    endedAt,
  });
}

const MINUTE_MS = 60_000;

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

describe('brought back before it had ended', () => {
  /** Sold out, seen while it was being ended, and back with 4. */
  async function broughtBack(): Promise<Scene> {
    const scene = await inSync();
    await under.allegro.admin.changeSettings({ endingDelayMs: 3_600_000 });
    await under.allegro.admin.sell({ offerId: scene.offerId, quantity: 5, lowersTruth: true });
    await stock(under, { [scene.sku]: 4 });
    const runId = await ran(scene);
    await under.allegro.admin.changeSettings({ endingDelayMs: 1 });
    expect(await changeOf(under.db, runId, scene.offerId)).toMatchObject({ kind: 'reactivate', state: 'confirmed' });
    await stock(under, { [scene.sku]: 5 });
    return scene;
  }

  test('a zero of somebody else is theirs', async () => {
    const scene = await broughtBack();
    await setToNothing(scene, Date.now() + 11 * MINUTE_MS);

    await ran(scene);

    expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
  });

  test('what comes to its end all the same comes back', async () => {
    const scene = await broughtBack();
    await setToNothing(scene, Date.now() + 2 * MINUTE_MS);

    await ran(scene);

    expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 5 });
  });

  test('a zero of somebody else is theirs, though the same change had sent ours', async () => {
    const scene = await inSync();
    await stock(under, { [scene.sku]: 0 });
    const { marketplace } = under.services;
    let writes = 0;
    const runId = await ran(scene, {
      async writeOffer(...args) {
        const answer = await marketplace.writeOffer(...args);
        writes += 1;
        if (writes > 1) return answer;
        await stock(under, { [scene.sku]: 4 });
        throw new SyncError('OutcomeUnknown', 'the answer was lost');
      },
    });
    const change = await changeOf(under.db, runId, scene.offerId);
    expect(change).toMatchObject({ kind: 'reactivate', zeroSentAt: expect.any(Date), sentBefore: [0] });
    await setToNothing(scene, Date.now() + 11 * MINUTE_MS);
    await stock(under, { [scene.sku]: 5 });

    await ran(scene);

    expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
  });
});

test.each(['lost', 'carried out'])(
  'seen running after our zero was %s, an offer is left alone when somebody else sets it to 0',
  async (how) => {
    const scene = await inSync();
    await stock(under, { [scene.sku]: 0 });
    const lost = { writeOffer: () => Promise.reject(new SyncError('OutcomeUnknown', 'cut')) };
    await ran(scene, how === 'lost' ? lost : {});
    await under.allegro.admin.editOffer(scene.offerId, { available: 5, status: 'ACTIVE' });
    await stock(under, { [scene.sku]: 5 });
    await ran(scene);
    expect(await memoryOf(under.db, scene.offerId)).toMatchObject({ bucket: 'in_sync', available: 5 });

    await setToNothing(scene);
    await stock(under, { [scene.sku]: 6 });
    await ran(scene);

    expect(await memoryOf(under.db, scene.offerId)).toMatchObject(LEFT_ALONE);
  },
);

describe('ended by us over a return of ours', () => {
  /** Sold out ten minutes ago; then, in one change, brought back and set to 0 again, as the stock asked for. */
  async function overReturn(zero: 'answered' | 'unheard'): Promise<Scene> {
    const scene = await inSync();
    const { shop, sku, offerId } = scene;
    await under.allegro.admin.sell({ offerId, quantity: 5, lowersTruth: true });
    await under.allegro.admin.editOffer(offerId, { status: 'ENDED', endedAt: Date.now() - 10 * MINUTE_MS });
    await stock(under, { [sku]: 0 });
    await ran(scene);
    await stock(under, { [sku]: 5 });
    const { marketplace } = under.services;
    const runId = await shop.open();
    const act = working({
      async writeOffer(call, id, write) {
        const answer = await marketplace.writeOffer(call, id, write);
        if (write.kind === 'reactivate') {
          await stock(under, { [sku]: 0 });
          throw new SyncError('OutcomeUnknown', 'the answer was lost');
        }
        if (zero === 'unheard') throw new SyncError('WritesStopped', 'nobody goes on with it');
        return answer;
      },
    });
    await driveSync(act, { accountId: shop.accountId, runId });
    const sent = { kind: 'end', statusBefore: 'ENDED', valueSent: 0, sentBefore: [5] };
    expect(await changeOf(under.db, runId, offerId)).toMatchObject(sent);
    await under.allegro.admin.editOffer(offerId, { status: 'ENDED', endedAt: Date.now() + 2_000 });
    return scene;
  }

  test.each(['answered', 'unheard'] as const)('an offer comes back (the zero was %s)', async (zero) => {
    const scene = await overReturn(zero);
    await ran(scene);
    await stock(under, { [scene.sku]: 4 });

    await ran(scene);

    expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
  });

  test('also when the stock is back before anybody has seen it ended', async () => {
    const scene = await overReturn('answered');
    await stock(under, { [scene.sku]: 4 });

    await ran(scene);

    expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
  });
});

test('a zero that was accepted, and is carried out after the offer was seen running, is ours', async () => {
  const scene = await inSync();
  await stock(under, { [scene.sku]: 0 });
  const batch = await planned(scene);
  const operation = 'https://api.example/operations/1';
  const act = working({
    writeOffer: () => Promise.resolve({ kind: 'accepted', operation, pollInMs: 3_600_000, traceId: null }),
  });
  await act.updateOfferBatch(batch);
  expect(await changeOf(under.db, batch.runId, scene.offerId)).toMatchObject({ state: 'sending', operation });
  await stock(under, { [scene.sku]: 5 });
  await ran(scene);
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject({ bucket: 'in_sync', available: 5 });

  await setToNothing(scene, Date.now() + 2_000);
  await stock(under, { [scene.sku]: 6 });
  await ran(scene);

  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 6 });
});

test('an ending of ours that was found by reading is remembered while the listing does not show it', async () => {
  const scene = await inSync({ republish: true });
  await stock(under, { [scene.sku]: 0 });
  const { marketplace } = under.services;
  await under.allegro.admin.freezeOffer(scene.offerId);
  const batch = await planned(scene);
  const unheard = working({
    async writeOffer(...args) {
      await marketplace.writeOffer(...args);
      throw new SyncError('OutcomeUnknown', 'the answer was lost');
    },
  });
  await unheard.updateOfferBatch(batch);
  await ran(scene);
  expect(await memoryOf(under.db, scene.offerId)).toMatchObject({ endedByUsAt: expect.any(Date) });
  // The listing still shows it running.
  await ran(scene);
  await under.allegro.admin.freezeOffer(scene.offerId, { status: 'ENDED', endedAt: Date.now() });
  await stock(under, { [scene.sku]: 4 });

  await ran(scene);

  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ACTIVE', available: 4 });
});

test('a zero that comes between the scan and the send is not taken back either', async () => {
  const scene = await inSync();
  await stock(under, { [scene.sku]: 0 });
  const batch = await planned(scene);
  await setToNothing(scene);
  await stock(under, { [scene.sku]: 6 });

  await under.act.updateOfferBatch(batch);

  expect(await changeOf(under.db, batch.runId, scene.offerId)).toMatchObject({
    state: 'superseded',
    reason: 'skipped:ended_by_other',
  });
  expect(await under.allegro.admin.offer(scene.offerId)).toMatchObject({ status: 'ENDED' });
});
