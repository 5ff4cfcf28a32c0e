import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount, pauseAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { listIncidents } from '../../../src/storage/incidents.js';
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
  const [one, other] = [new Set<string>(), new Set<string>()];
  for (const silent of [one, other, one, other]) await tellSilence({ db, scheduleSeconds: INTERVAL_SECONDS }, silent);

  expect(await told()).toEqual({ kinds: ['account_problem'], open: 1 });
  expect(one).toEqual(new Set([SHOP]));
});

test('a complete run ends it, with a message', async () => {
  const silent = new Set<string>();
  await tellSilence({ db, scheduleSeconds: INTERVAL_SECONDS }, silent);
  await lastCompleteAgo(1);
  await tellSilence({ db, scheduleSeconds: INTERVAL_SECONDS }, silent);

  expect(await told()).toEqual({ kinds: ['account_problem', 'resolved'], open: 0 });
  expect(silent.size).toBe(0);
});

test('an account that is paused is not said to run again', async () => {
  const silent = new Set<string>();
  await tellSilence({ db, scheduleSeconds: INTERVAL_SECONDS }, silent);
  await pauseAccount(db, SHOP, 'moving the warehouse');
  await tellSilence({ db, scheduleSeconds: INTERVAL_SECONDS }, silent);

  expect(await told()).toEqual({ kinds: ['account_problem'], open: 0 });
});
