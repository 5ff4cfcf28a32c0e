import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { deleteAccount, pauseAccount } from '../../../src/storage/accounts.js';
import { setStopSwitch } from '../../../src/storage/stop-switch.js';
import { failureClass, runOf, setUpActivities, type ActivitiesUnderTest } from './activities-under-test.js';

let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities();
});
afterAll(() => under.close());

const OPENING = { trigger: 'manual', groupId: null, skus: null, isPreview: false } as const;

test('a second opening by the same execution finds the run of the first and raises no fence', async () => {
  const shop = await under.shop();
  const executionId = randomUUID();

  const first = await shop.open({ executionId });
  const second = await shop.open({ executionId });

  expect(second).toBe(first);
  expect(await under.db.selectFrom('accounts').select('fence').where('id', '=', shop.accountId).execute()).toEqual([
    { fence: 1 },
  ]);
});

test('a new run takes the account over: activities of the older one end as superseded', async () => {
  const shop = await under.shop();
  const older = await shop.open();

  const newer = await shop.open();

  const scan = { cursor: { position: 0 }, priority: 'scheduled' } as const;
  expect(await failureClass(under.act.scanOffers({ runId: older, ...scan }))).toBe('Superseded');
  expect(await failureClass(under.act.planWrites({ runId: older }))).toBe('Superseded');
  await expect(under.act.scanOffers({ runId: newer, ...scan })).resolves.toMatchObject({ cursor: null });
  expect(await runOf(under.db, older)).toMatchObject({ state: 'closed', outcome: 'superseded' });
});

test('a paused account is not opened, and says why', async () => {
  const shop = await under.shop();
  await pauseAccount(under.db, shop.accountId, 'stock-taking');

  const opened = await under.act.openRun({ accountId: shop.accountId, ...OPENING });

  expect(opened).toMatchObject({
    kind: 'not_opened',
    outcome: 'paused',
    failure: { class: 'AccountPaused', message: 'stock-taking' },
  });
  expect(await under.db.selectFrom('syncRuns').where('accountId', '=', shop.accountId).selectAll().execute()).toEqual(
    [],
  );
});

test('while all writes are stopped a live run is not opened, a preview is', async () => {
  const shop = await under.shop();
  await setStopSwitch(under.db, { isStopped: true, reason: 'wrong prices' });
  try {
    const opened = await under.act.openRun({ accountId: shop.accountId, ...OPENING });
    expect(opened).toMatchObject({ kind: 'not_opened', outcome: 'stopped', failure: { class: 'WritesStopped' } });

    const preview = await under.act.openRun({ accountId: shop.accountId, ...OPENING, isPreview: true });
    expect(preview).toMatchObject({ kind: 'open', mode: 'preview' });
  } finally {
    await setStopSwitch(under.db, { isStopped: false, reason: null });
  }
});

test('an account that is not there is refused', async () => {
  const opening = under.act.openRun({ accountId: toAccountId('nobody'), ...OPENING });

  expect(await failureClass(opening)).toBe('AccountRefused');
});

test('an account removed in mid-run ends its run as superseded, and closing it says nothing to anybody', async () => {
  const shop = await under.shop();
  const runId = await shop.open();
  await deleteAccount(under.db, shop.accountId);

  const scan = under.act.scanOffers({ runId, cursor: { position: 0 }, priority: 'scheduled' });
  expect(await failureClass(scan)).toBe('Superseded');

  const { result } = await under.act.closeRun({
    accountId: shop.accountId,
    runId,
    end: 'superseded',
    failure: { class: 'Superseded', message: 'gone' },
    accountName: 'Shop',
    mode: 'live',
  });
  expect(result).toMatchObject({ outcome: 'superseded', seen: 0 });
});

test('the first use of a token binds the account to its seller', async () => {
  const shop = await under.shop();

  await shop.open();

  const account = await under.db
    .selectFrom('accounts')
    .select('sellerId')
    .where('id', '=', shop.accountId)
    .executeTakeFirstOrThrow();
  expect(account.sellerId).toBe(shop.seller);
});

test('a token of a seller that another account is bound to is refused', async () => {
  const first = await under.shop();
  await first.open();
  const second = await under.shop();
  const pair = await under.allegro.admin.issueTokens({ sellerId: first.seller });
  await under.allegro.store.replace(second.accountId, 1, {
    ...pair,
    accessExpiresAt: new Date(Date.now() + 12 * 3_600_000),
  });

  expect(await failureClass(second.open())).toBe('AccountRefused');
});

test('a login that was revoked before the first run pauses the account and is told once', async () => {
  const shop = await under.shop();
  await under.allegro.admin.revokeTokens(shop.seller);

  expect(await failureClass(shop.open())).toBe('TokenRevoked');
  const close = () =>
    under.act.closeRun({
      accountId: shop.accountId,
      runId: null,
      end: 'paused',
      failure: { class: 'TokenRevoked', message: 'log in again' },
      accountName: 'Shop',
      mode: 'live',
    });
  await close();
  await close();

  const told = await under.db
    .selectFrom('incidents')
    .select(['class', 'state'])
    .where('accountId', '=', shop.accountId)
    .execute();
  expect(told).toEqual([{ class: 'TokenRevoked', state: 'open' }]);
});

test('a run of an account that somebody has paused tells nobody again', async () => {
  const shop = await under.shop();

  await under.act.closeRun({
    accountId: shop.accountId,
    runId: null,
    end: 'paused',
    failure: { class: 'AccountPaused', message: 'stock-taking' },
    accountName: 'Shop',
    mode: 'live',
  });

  expect(await under.db.selectFrom('incidents').selectAll().where('accountId', '=', shop.accountId).execute()).toEqual(
    [],
  );
});

test.each([
  { retryDelaySeconds: 30, phaseRetryDelaySeconds: 180 },
  { retryDelaySeconds: 1, phaseRetryDelaySeconds: 6 },
])(
  'a delay of $retryDelaySeconds s for one offer is one of $phaseRetryDelaySeconds s for all of them',
  async ({ retryDelaySeconds, phaseRetryDelaySeconds }) => {
    const shop = await under.shop();
    const { openRun } = under.with({ sync: { ...under.services.sync, retryDelaySeconds } });

    const opened = await openRun({ ...OPENING, accountId: shop.accountId });

    expect(opened).toMatchObject({ kind: 'open', settings: { retryDelaySeconds, phaseRetryDelaySeconds } });
  },
);
