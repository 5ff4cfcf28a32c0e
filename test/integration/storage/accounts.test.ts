import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { toAccountId, type AccountId } from '../../../src/domain/ids.js';
import {
  addAccount,
  changeAccount,
  deleteAccount,
  fenceOffAccount,
  listAccounts,
  pauseAccount,
  readAccount,
  resumeAccount,
} from '../../../src/storage/accounts.js';
import { listActiveAccounts } from '../../../src/storage/account-ticks.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { readStopSwitch, setStopSwitch } from '../../../src/storage/stop-switch.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;
let accounts = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'accounts test' });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function anAccount(): Promise<AccountId> {
  accounts += 1;
  const accountId = toAccountId(`shop-${accounts}`);
  await addAccount(db, { accountId, name: `Shop ${accounts}` });
  return accountId;
}

const NOBODY = toAccountId('nobody');

describe('an account', () => {
  test('starts in preview, active, not bound to a seller, with settings that change nothing', async () => {
    const accountId = await anAccount();
    expect(await readAccount(db, accountId)).toMatchObject({
      mode: 'preview',
      pausedReason: null,
      sellerId: null,
      buffer: 0,
      max: null,
      raise: true,
      lower: true,
      reactivate: true,
      atZero: 'end',
    });
  });

  test('is added once', async () => {
    const accountId = await anAccount();
    expect(await addAccount(db, { accountId, name: 'Another' })).toBe(false);
    expect((await readAccount(db, accountId))?.name).not.toBe('Another');
  });

  test('keeps the settings that a change does not name', async () => {
    const accountId = await anAccount();
    await changeAccount(db, accountId, { buffer: 3, max: 20, atZero: 'one', raise: false });
    await changeAccount(db, accountId, { max: null, lower: false });
    expect(await readAccount(db, accountId)).toMatchObject({
      buffer: 3,
      max: null,
      atZero: 'one',
      raise: false,
      lower: false,
    });
  });

  test('is live since the first time it was set to live', async () => {
    const accountId = await anAccount();
    await changeAccount(db, accountId, { mode: 'live' });
    const [first] = await listAccounts(db, [accountId]);
    await changeAccount(db, accountId, { mode: 'preview' });
    await changeAccount(db, accountId, { mode: 'live' });
    const [second] = await listAccounts(db, [accountId]);
    expect(first?.liveSince).toBeInstanceOf(Date);
    expect(second?.liveSince).toEqual(first?.liveSince);
  });

  test('takes no part while it is paused', async () => {
    const accountId = await anAccount();
    await pauseAccount(db, accountId, 'moving');
    expect((await listActiveAccounts(db)).map((active) => active.accountId)).not.toContain(accountId);
    await resumeAccount(db, accountId);
    expect((await listActiveAccounts(db)).map((active) => active.accountId)).toContain(accountId);
  });

  test('that is fenced off is paused, and no earlier run owns it', async () => {
    const accountId = await anAccount();
    await fenceOffAccount(db, accountId, 'being removed');
    const { rows } = await sql<{ fence: number }>`select fence from accounts where id = ${accountId}`.execute(db);
    expect(rows[0]?.fence).toBe(1);
    expect((await readAccount(db, accountId))?.pausedReason).toBe('being removed');
  });

  test('is deleted with all that belongs to it', async () => {
    const accountId = await anAccount();
    await sql`
      insert into sync_runs (id, account_id, group_id, workflow_id, execution_id, trigger, mode, fence)
      values (gen_random_uuid(), ${accountId}, gen_random_uuid(), 'w', 'execution', 'manual', 'live', 1)`.execute(db);
    expect(await deleteAccount(db, accountId)).toBe(true);
    expect(await readAccount(db, accountId)).toBeNull();
    expect(await deleteAccount(db, accountId)).toBe(false);
  });
});

test('what concerns an account that does not exist changes nothing and says so', async () => {
  expect(await readAccount(db, NOBODY)).toBeNull();
  expect(await changeAccount(db, NOBODY, { buffer: 1 })).toBe(false);
  expect(await pauseAccount(db, NOBODY, 'x')).toBe(false);
  expect(await resumeAccount(db, NOBODY)).toBe(false);
  expect(await fenceOffAccount(db, NOBODY, 'x')).toBe(false);
  expect(await listAccounts(db, [NOBODY])).toEqual([]);
});

describe('the stop switch', () => {
  test('is off at first, and keeps the time of the first stop', async () => {
    expect(await readStopSwitch(db)).toMatchObject({ isStopped: false });
    expect(await setStopSwitch(db, { isStopped: true, reason: 'one' })).toEqual({ wasStopped: false });
    const first = await readStopSwitch(db);
    expect(await setStopSwitch(db, { isStopped: true, reason: 'two' })).toEqual({ wasStopped: true });
    expect(await readStopSwitch(db)).toEqual({ ...first, reason: 'two' });
    expect(await setStopSwitch(db, { isStopped: false, reason: null })).toEqual({ wasStopped: true });
    expect(await readStopSwitch(db)).toMatchObject({ isStopped: false, reason: null });
  });
});
