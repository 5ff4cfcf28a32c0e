import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount, pauseAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { listIncidents, resolveIncidents } from '../../../src/storage/incidents.js';
import { tellSilence } from '../../../src/upkeep.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

const SHOP = toAccountId('shop');
const INTERVAL_SECONDS = 60;

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'silence test' });
});

beforeEach(async () => {
  await db.deleteFrom('accounts').execute();
  await db.deleteFrom('outbox').execute();
  await addAccount(db, { accountId: SHOP, name: 'Tea House', mode: 'live' });
  await lastCompleteAgo(3 * INTERVAL_SECONDS);
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

function services() {
  return { db, scheduleSeconds: INTERVAL_SECONDS };
}

async function lastCompleteAgo(seconds: number): Promise<void> {
  const at = new Date(Date.now() - seconds * 1000);
  await db.updateTable('accounts').set({ lastCompleteAt: at, liveSince: at }).execute();
}

/** Kinds of the messages in line, and how many incidents are open. */
async function told(): Promise<{ kinds: unknown[]; open: number }> {
  const rows = await db.selectFrom('outbox').select('message').orderBy('id').execute();
  const kinds = rows.map(({ message }) => (typeof message === 'object' && 'kind' in message ? message.kind : null));
  return { kinds, open: (await listIncidents(db, { state: 'open', limit: 10 })).length };
}

test('a live account without a complete run within two intervals is told once, by however many processes', async () => {
  for (let look = 0; look < 4; look += 1) expect(await tellSilence(services())).toBe(1);

  expect(await told()).toEqual({ kinds: ['account_problem'], open: 1 });
});

test('a complete run ends it, with a message', async () => {
  await tellSilence(services());
  await lastCompleteAgo(1);
  expect(await tellSilence(services())).toBe(0);

  expect(await told()).toEqual({ kinds: ['account_problem', 'resolved'], open: 0 });
});

test('an account that is paused is not said to run again', async () => {
  await tellSilence(services());
  await pauseAccount(db, SHOP, 'moving the warehouse');
  await tellSilence(services());

  expect(await told()).toEqual({ kinds: ['account_problem'], open: 0 });
});

test('what somebody has resolved by hand is told again while it lasts', async () => {
  await tellSilence(services());
  await resolveIncidents(db, { accountId: SHOP });
  await tellSilence(services());

  expect(await told()).toEqual({ kinds: ['account_problem', 'account_problem'], open: 1 });
});
