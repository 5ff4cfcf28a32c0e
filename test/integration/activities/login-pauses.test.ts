import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { reportLoginPauses } from '../../../src/activities/report-run.js';
import { toAccountId } from '../../../src/domain/ids.js';
import { addAccount, pauseAccount } from '../../../src/storage/accounts.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createEncryption } from '../../../src/storage/encryption.js';
import { listIncidents, resolveIncident } from '../../../src/storage/incidents.js';
import { createTokenStore } from '../../../src/storage/token-store.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'login pauses test' });
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const SHOP = toAccountId('shop');

async function waitingMessages(): Promise<unknown[]> {
  const rows = await db.selectFrom('outbox').select('message').orderBy('id').execute();
  return rows.map(({ message }) => message);
}

test('an account that a refused login has paused outside of any run is told once, also after it was resolved by hand', async () => {
  await addAccount(db, { accountId: SHOP, name: 'Tea House', mode: 'live' });
  const store = createTokenStore({ db, databaseUrl: database.url, encryption: createEncryption(randomBytes(32)) });
  await store.pauseForLogin(SHOP, 'Allegro no longer accepts the login of this account.');

  await reportLoginPauses(db);
  await reportLoginPauses(db);

  expect(await waitingMessages()).toEqual([
    expect.objectContaining({
      kind: 'account_problem',
      accountId: SHOP,
      accountName: 'Tea House',
      class: 'TokenRevoked',
      details: 'Allegro no longer accepts the login of this account.',
      action: 'allegro-stock-sync accounts authorize shop',
    }),
  ]);
  const [incident] = await listIncidents(db, { state: 'open', limit: 10 });
  await resolveIncident(db, incident?.id ?? '');
  await reportLoginPauses(db);
  expect(await waitingMessages()).toHaveLength(1);
});

test('an account that a person has paused is nothing to tell', async () => {
  const other = toAccountId('other');
  await addAccount(db, { accountId: other, name: 'Other', mode: 'live' });
  await pauseAccount(db, other, 'moving the warehouse');

  await reportLoginPauses(db);

  expect((await listIncidents(db, { accountId: other, limit: 10 })).length).toBe(0);
});
