import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OfferId, RunId } from '../../../src/domain/ids.js';
import { approveHeldChanges } from '../../../src/storage/approvals.js';
import { changeOf, setUpActivities, stock, type ActivitiesUnderTest, type Shop } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

async function shopOf(count: number, { stocked = 10, shown = 10 } = {}) {
  const shop = await under.shop();
  const skus = Array.from({ length: count }, () => shop.sku());
  await setAll(skus, stocked);
  const offerIds = await shop.offers(skus.map((externalId) => ({ externalId, available: shown })));
  return { shop, skus, offerIds };
}

/** Seen whole by a live run, with 10 pieces of everything. */
async function shopInSync(count: number) {
  const made = await shopOf(count);
  expect(await sync(made.shop)).toMatchObject({ outcome: 'in_sync' });
  return made;
}

function setAll(skus: readonly string[], pieces: number): Promise<void> {
  return stock(under, Object.fromEntries(skus.map((sku) => [sku, pieces])));
}

async function sync(shop: Shop) {
  const runId = await shop.open();
  return { ...(await driveSync(under.act, { accountId: shop.accountId, runId })), runId };
}

async function incidentsOf(shop: Shop) {
  return under.db
    .selectFrom('incidents')
    .select(['class', 'state', 'details'])
    .where('accountId', '=', shop.accountId)
    .orderBy('id')
    .execute();
}

async function messagesOf(shop: Shop): Promise<string[]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.flatMap(({ message }) => (message['accountId'] === shop.accountId ? [String(message['details'])] : []));
}

test('more raises than the share are held together, told once, and let through by approval; lowering goes on', async () => {
  const { shop, skus } = await shopInSync(40);
  await setAll(skus.slice(0, 11), 12);
  await setAll(skus.slice(11, 30), 3);

  const held = await sync(shop);
  const again = await sync(shop);

  expect(held).toMatchObject({ outcome: 'problems', held: { guard: 11 } });
  expect(held.buckets).toMatchObject({ held: 11, lowered: 19, in_sync: 10 });
  expect(again.buckets).toMatchObject({ held: 11, in_sync: 29 });
  expect(await incidentsOf(shop)).toMatchObject([{ class: 'Held', state: 'open' }]);
  const said = 'would raise or bring back 11 offers, with 40 active ones; 10 are allowed';
  expect(await messagesOf(shop)).toEqual([said]);

  expect(await approveHeldChanges(under.db, shop.accountId, again.runId)).toBe(11);
  const approved = await sync(shop);
  expect(approved).toMatchObject({ outcome: 'in_sync' });
  expect(approved.buckets).toMatchObject({ raised: 11 });
  expect(await incidentsOf(shop)).toMatchObject([{ class: 'Held', state: 'resolved' }]);
});

test('offers that come back count with those that are raised', async () => {
  const { shop, skus } = await shopInSync(40);
  await setAll(skus.slice(0, 10), 0);
  expect((await sync(shop)).buckets).toMatchObject({ ended: 10 });
  await setAll(skus.slice(0, 10), 5);
  await setAll(skus.slice(20, 21), 12);

  expect((await sync(shop)).buckets).toMatchObject({ held: 11, reactivated: 0, raised: 0 });
});

test('a small shop is restocked without a question', async () => {
  const { shop, skus } = await shopInSync(12);
  await setAll(skus.slice(0, 10), 100);

  expect((await sync(shop)).buckets).toMatchObject({ raised: 10, held: 0 });
});

test('the first live run may raise everything, as its preview has shown', async () => {
  const { shop } = await shopOf(30, { stocked: 20, shown: 10 });
  const seen = await shop.scanned({ isPreview: true });
  expect(await under.act.checkGuards({ runId: seen })).toMatchObject({ held: 0 });

  expect((await sync(shop)).buckets).toMatchObject({ raised: 30, held: 0 });
});

test('99,999 everywhere is held in a fresh account too, and in one that raises few of its offers', async () => {
  const fresh = await shopOf(12, { stocked: 99_999, shown: 10 });
  expect(await sync(fresh.shop)).toMatchObject({ held: { guard: 12 } });
  expect(await messagesOf(fresh.shop)).toEqual([
    'would put 1199868 more pieces on sale, with 120 shown now: more than three times as many',
  ]);

  const few = await shopInSync(12);
  await setAll(few.skus.slice(0, 5), 99_999);
  expect((await sync(few.shop)).buckets).toMatchObject({ held: 5, in_sync: 7 });
});

test('a run of chosen SKUs is weighed against what the whole account showed at its last complete run', async () => {
  const { shop, skus } = await shopInSync(40);
  await setAll(skus.slice(0, 2), 400);
  const small = await shop.scanned({ skus: skus.slice(0, 2) });
  expect(await under.act.checkGuards({ runId: small })).toMatchObject({ held: 0 });

  await setAll(skus.slice(0, 2), 600);
  const much = await shop.scanned({ skus: skus.slice(0, 2) });
  expect(await under.act.checkGuards({ runId: much })).toEqual({ held: 2, allowedOffers: 10 });

  await setAll(skus.slice(0, 11), 11);
  const many = await shop.scanned({ skus: skus.slice(0, 11) });
  expect(await under.act.checkGuards({ runId: many })).toEqual({ held: 11, allowedOffers: 10 });
});

test('what is held after a person has let the rest through is told anew', async () => {
  const { shop, skus } = await shopInSync(40);
  await setAll(skus.slice(0, 11), 12);
  const first = await sync(shop);
  await approveHeldChanges(under.db, shop.accountId, first.runId);
  await setAll(skus.slice(11, 22), 13);

  expect((await sync(shop)).buckets).toMatchObject({ raised: 11, held: 11 });
  await sync(shop);

  expect(await messagesOf(shop)).toHaveLength(2);
});

async function stateOf(runId: RunId, offerIds: readonly OfferId[]): Promise<string[]> {
  return Promise.all(
    offerIds.map(async (offerId) => {
      const { kind, state, valueSent } = await changeOf(under.db, runId, offerId);
      return `${kind} ${state} ${valueSent ?? '-'}`;
    }),
  );
}

test('stock that rises massively after the guard has looked is held, whatever was planned', async () => {
  const { shop, skus, offerIds } = await shopInSync(40);
  await setAll(skus.slice(0, 2), 12);
  await setAll(skus.slice(2, 4), 8);
  const runId = await shop.scanned();
  await under.act.checkGuards({ runId });
  const { phases } = await under.act.planWrites({ runId });
  await setAll(skus.slice(0, 4), 9_999);

  for (const { batches } of phases) {
    for (const batch of batches) await under.act.updateOfferBatch({ runId, batch, priority: 'scheduled' });
  }

  expect(await stateOf(runId, offerIds.slice(0, 4))).toEqual([
    'raise held -',
    'raise held -',
    'lower held -',
    'lower held -',
  ]);
});

test('so it is when the offers share a command', async () => {
  const { shop, skus } = await shopInSync(40);
  await setAll(skus.slice(0, 10), 12);
  const runId = await shop.open();
  let calls = 0;

  const result = await driveSync(under.act, {
    accountId: shop.accountId,
    runId,
    // After scan, guard and plan: the command is about to be sent.
    between: async () => {
      calls += 1;
      if (calls === 5) await setAll(skus.slice(0, 10), 9_999);
    },
  });

  expect(result.buckets).toMatchObject({ held: 10, raised: 0, in_sync: 30 });
  expect(result.held).toEqual({ guard: 10 });
  expect(await messagesOf(shop)).toEqual(['the stock changed greatly while the run was at work']);
});
