import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { changeAccount } from '../../../src/storage/accounts.js';
import { excludeOffer } from '../../../src/storage/exclusions.js';
import { listHistory, listRunOffers } from '../../../src/storage/reports.js';
import { setUpActivities, stock, type ActivitiesUnderTest } from './activities-under-test.js';
import { driveSync } from './sync-driver.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities({}, { isUnpaced: true });
});
afterAll(() => under.close());

test('what differs and is not written has a row with its reason in each run, and counts as skipped', async () => {
  const shop = await under.shop();
  await changeAccount(under.db, shop.accountId, { raise: false });
  const [excluded, switchedOff, same, activating] = [shop.sku(), shop.sku(), shop.sku(), shop.sku()];
  await stock(under, { [excluded]: 0, [switchedOff]: 9, [same]: 5, [activating]: 3 });
  const [first, second, third, fourth] = await shop.offers([
    ...[excluded, switchedOff, same].map((externalId) => ({ externalId, available: 5 })),
    { externalId: activating, available: 5, status: 'ACTIVATING' },
  ]);
  if (first === undefined || second === undefined || third === undefined || fourth === undefined)
    throw new Error('four offers were asked for');
  await excludeOffer(under.db, { accountId: shop.accountId, offerId: first, reason: null });
  await excludeOffer(under.db, { accountId: shop.accountId, offerId: third, reason: null });

  const firstRun = await shop.open();
  const result = await driveSync(under.act, { accountId: shop.accountId, runId: firstRun });
  const secondRun = await shop.open();
  await driveSync(under.act, { accountId: shop.accountId, runId: secondRun });
  const runs = [firstRun, secondRun];

  expect(result).toMatchObject({
    outcome: 'in_sync',
    seen: 4,
    skipped: { excluded: 2, switched_off: 1, activating: 1 },
  });
  expect(result.buckets).toMatchObject({ skipped: 4, in_sync: 0, pending: 0 });
  for (const runId of runs) {
    const offers = await listRunOffers(under.db, [runId], 'skipped');
    const differing = offers.filter(({ kind }) => kind !== null);
    expect(
      differing.map(({ offerId, reason, kind, valueBefore, target }) => [offerId, reason, kind, valueBefore, target]),
    ).toEqual(
      [
        [first, 'excluded', 'end', 5, 0],
        [second, 'switched_off', 'raise', 5, 9],
        [fourth, 'activating', 'lower', 5, 3],
      ].sort(),
    );
  }
  const history = await listHistory(under.db, { offerOrSku: switchedOff, limit: 10 });
  expect(history.map(({ runId, bucket, reason, valueSent }) => [runId, bucket, reason, valueSent])).toEqual(
    [...runs].reverse().map((runId) => [runId, 'skipped', 'switched_off', null]),
  );
});

test('an offer with stock that somebody has ended has its row once, and again when it is ended again', async () => {
  const shop = await under.shop();
  const sku = shop.sku();
  await stock(under, { [sku]: 5 });
  const offerId = await shop.offer({ externalId: sku, available: 5 });
  const rows = async (): Promise<unknown[]> =>
    under.db
      .selectFrom('offerChanges')
      .select(['kind', 'state', 'reason', 'target'])
      .where('offerId', '=', offerId)
      .execute();
  const row = { kind: 'reactivate', state: 'superseded', reason: 'skipped:ended_by_other', target: 5 };
  const ended = { status: 'ENDED', endedBy: 'USER' } as const;
  await shop.scanned();
  await under.allegro.admin.editOffer(offerId, ended);
  for (let run = 0; run < 3; run += 1) await shop.scanned();
  expect(await rows()).toEqual([row]);

  await under.allegro.admin.editOffer(offerId, { status: 'ACTIVE' });
  await shop.scanned();
  await under.allegro.admin.editOffer(offerId, ended);
  await shop.scanned();

  expect(await rows()).toEqual([row, row]);
});
