import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
import { setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

/** A shop of 40 offers in sync, of which 8 may be ended at once, or always 10. */
async function shopInSync(): Promise<{ shop: Shop; skus: string[]; offerIds: OfferId[] }> {
  const shop = await under.shop();
  const skus = Array.from({ length: 40 }, () => shop.sku());
  await setAll(skus, 10);
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: 10 })));
  await sync(shop);
  return { shop, skus, offerIds };
}

function setAll(skus: readonly string[], pieces: number): Promise<void> {
  return stock(under, Object.fromEntries(skus.map((sku) => [sku, pieces])));
}

async function sync(shop: Shop) {
  const runId = await shop.open();
  return { ...(await driveSync(under.act, { accountId: shop.accountId, runId })), runId };
}

async function changesOf(runId: RunId, state: string): Promise<string[]> {
  const rows = await under.db
    .selectFrom('offerChanges')
    .select(['offerId', 'state'])
    .where('runId', '=', runId)
    .execute();
  return rows.filter((row) => row.state === state).map((row) => row.offerId);
}

test('as many endings as are always allowed go out', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 10), 0);

  expect((await sync(shop)).buckets).toMatchObject({ ended: 10, held: 0, in_sync: 30 });
});

test('one more holds all of them, tells once, and lets everything else through', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  await setAll(skus.slice(11, 13), 3);

  const first = await sync(shop);
  const second = await sync(shop);

  expect(first).toMatchObject({ outcome: 'problems', held: { guard: 11 } });
  expect(first.buckets).toMatchObject({ held: 11, lowered: 2, in_sync: 27 });
  expect(second.buckets).toMatchObject({ held: 11, in_sync: 29 });
  const incidents = await under.db
    .selectFrom('incidents')
    .select(['class', 'state', 'occurrences'])
    .where('accountId', '=', shop.accountId)
    .execute();
  expect(incidents).toEqual([{ class: 'Held', state: 'open', occurrences: 2 }]);
});

test('a guard that is asked again after a crash still knows what it holds', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  const runId = await shop.scanned();

  expect(await under.act.checkGuards({ runId })).toMatchObject({ held: 11 });
  await under.act.checkGuards({ runId });

  expect(await changesOf(runId, 'held')).toHaveLength(11);
  const { guard } = await under.db
    .selectFrom('syncRuns')
    .select('guard')
    .where('id', '=', runId)
    .executeTakeFirstOrThrow();
  expect(guard).toMatchObject({ plannedEndings: 11, reasons: ['endings'], activeOffers: 40 });
});

test('the last complete scan is the measure: a run of chosen SKUs ends no more than that allows', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  const runId = await shop.scanned({ skus: skus.slice(0, 11) });

  expect(await under.act.checkGuards({ runId })).toEqual({ held: 11, allowedOffers: 10 });
});

test('approved: exactly the held rows go through, once', async () => {
  const { shop, skus, offerIds } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  const held = await sync(shop);
  expect(await approveHeldChanges(under.db, shop.accountId, held.runId)).toBe(11);
  // Eleven more fell to 0 since, which nobody has looked at.
  await setAll(skus.slice(11, 22), 0);

  const approved = await sync(shop);
  expect(approved.buckets).toMatchObject({ ended: 11, held: 11 });
  expect([...(await changesOf(approved.runId, 'confirmed'))].sort()).toEqual(offerIds.slice(0, 11).sort());

  // The same offers once more: their approval was used.
  await setAll(skus.slice(0, 10), 5);
  expect((await sync(shop)).buckets).toMatchObject({ reactivated: 10 });
  await setAll(skus.slice(0, 10), 0);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 0, held: 21 });
});

test('an approval is void after 24 hours, and renewed by approving again', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  const held = await sync(shop);
  await approveHeldChanges(under.db, shop.accountId, held.runId);
  const expire = (at: Date) =>
    under.db.updateTable('approvals').set({ expiresAt: at }).where('accountId', '=', shop.accountId).execute();
  const { expiresAt } = await under.db
    .selectFrom('approvals')
    .select('expiresAt')
    .where('accountId', '=', shop.accountId)
    .executeTakeFirstOrThrow();
  expect(Math.round((expiresAt.getTime() - Date.now()) / 3_600_000)).toBe(24);
  await expire(new Date(Date.now() - 1));
  expect((await sync(shop)).buckets).toMatchObject({ ended: 0, held: 11 });

  await approveHeldChanges(under.db, shop.accountId, held.runId);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 11, held: 0 });
});

test('the message is over when nothing is held any more, but not after a run that saw only a part', async () => {
  const { shop, skus } = await shopInSync();
  await setAll(skus.slice(0, 11), 0);
  await sync(shop);
  await setAll(skus.slice(0, 11), 10);
  const isOpen = async () =>
    (
      await under.db
        .selectFrom('incidents')
        .select('state')
        .where('accountId', '=', shop.accountId)
        .where('class', '=', 'Held')
        .executeTakeFirstOrThrow()
    ).state;

  const chosen = await shop.scanned({ skus: skus.slice(20, 22) });
  await under.act.closeRun({
    accountId: shop.accountId,
    runId: chosen,
    end: 'done',
    failure: null,
    accountName: 'Shop',
    mode: 'live',
  });
  expect(await isOpen()).toBe('open');

  await sync(shop);
  expect(await isOpen()).toBe('resolved');
});
