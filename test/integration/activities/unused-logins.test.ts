import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { pauseAccount } from '../../../src/storage/accounts.js';
import { listIncidents, resolveIncident } from '../../../src/storage/incidents.js';
import { LOGIN_NEEDED } from '../../../src/storage/token-store.js';
import { tellDyingLogins } from '../../../src/upkeep.js';
import {
  journalEnd,
  requestsSince,
  setUpActivities,
  type ActivitiesUnderTest,
  type Shop,
} from './activities-under-test.js';

/** A refresh token that nothing uses dies after three months. */
let under: ActivitiesUnderTest;

beforeAll(async () => {
  under = await setUpActivities();
});
afterEach(async () => {
  await under.allegro.admin.removeFaults();
  await under.db.deleteFrom('accounts').execute();
  await under.db.deleteFrom('outbox').execute();
});
afterAll(() => under.close());

const DAY_MS = 24 * 3_600_000;

/** Its tokens were stored so long ago; the access token has expired long since. */
async function anUnusedShop(days: number): Promise<Shop> {
  const shop = await under.shop();
  const storedAt = new Date(Date.now() - days * DAY_MS);
  await under.db
    .updateTable('accountTokens')
    .set({ storedAt, accessExpiresAt: new Date(storedAt.getTime() + DAY_MS / 2) })
    .where('accountId', '=', shop.accountId)
    .execute();
  return shop;
}

async function tokensOf({ accountId }: Shop) {
  return under.db.selectFrom('accountTokens').selectAll().where('accountId', '=', accountId).executeTakeFirstOrThrow();
}

/** Kind and class of the messages in line. */
async function told(): Promise<unknown[][]> {
  const rows = await under.db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => [message['kind'], message['class']]);
}

const WARNING = ['account_problem', 'LoginExpires'];

test('a login that dies within 14 days is told once, by however many processes', async () => {
  const shop = await anUnusedShop(76);
  await anUnusedShop(74);

  await tellDyingLogins(under.db);
  await tellDyingLogins(under.db);

  expect(await told()).toEqual([WARNING]);
  const [incident] = await listIncidents(under.db, { state: 'open', limit: 10 });
  expect(incident).toMatchObject({ accountId: shop.accountId, occurrences: 1 });
  await resolveIncident(under.db, incident?.id ?? '');
  await tellDyingLogins(under.db);
  expect(await told()).toEqual([WARNING]);
});

test('it is over when the tokens were renewed, and told anew of the next ones', async () => {
  const shop = await anUnusedShop(80);
  await tellDyingLogins(under.db);

  await under.act.housekeep({ reason: 'test' });
  await tellDyingLogins(under.db);

  expect(await told()).toEqual([WARNING, ['resolved', undefined]]);
  await tellDyingLogins(under.db, new Date(Date.now() + 80 * DAY_MS));
  expect(await told()).toEqual([WARNING, ['resolved', undefined], WARNING]);
  expect((await tokensOf(shop)).generation).toBe(2);
});

test('of an account that waits for a new login already nothing is told, and nothing is sent', async () => {
  const shop = await anUnusedShop(80);
  await pauseAccount(under.db, shop.accountId, `${LOGIN_NEEDED}refused`);
  const start = await journalEnd(under);

  await tellDyingLogins(under.db);
  await under.act.housekeep({ reason: 'test' });

  expect(await told()).toEqual([]);
  expect(await requestsSince(under, start, shop.seller)).toEqual([]);
});

test('housekeeping renews what nothing has used for 30 days, paused or not, and nothing else', async () => {
  const [paused, unused, used] = [await anUnusedShop(40), await anUnusedShop(31), await anUnusedShop(29)];
  await pauseAccount(under.db, paused.accountId, 'moving the warehouse');

  await under.act.housekeep({ reason: 'test' });

  for (const shop of [paused, unused]) {
    const { generation, storedAt } = await tokensOf(shop);
    expect(generation).toBe(2);
    expect(Date.now() - storedAt.getTime()).toBeLessThan(DAY_MS);
  }
  expect((await tokensOf(used)).generation).toBe(1);
});

test('a login that cannot be renewed keeps neither the other logins nor housekeeping from going on', async () => {
  const [refused, other] = [await anUnusedShop(40), await anUnusedShop(35)];
  await under.allegro.admin.revokeTokens(refused.seller);

  await expect(under.act.housekeep({ reason: 'test' })).resolves.toMatchObject({ runs: 0 });

  expect((await tokensOf(refused)).generation).toBe(1);
  expect((await tokensOf(other)).generation).toBe(2);
});
