import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { isDatabaseUnavailable } from '../../../src/storage/database-errors.js';
import { openDatabase, type Db } from '../../../src/storage/database.js';
import { createTestDatabase, type TestDatabase } from '../../servers.js';

let database: TestDatabase;
let db: Db;
let other: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase(database.url, { applicationName: 'lost-connection-test' });
  other = openDatabase(database.url, { applicationName: 'lost-connection-test-other' });
});
afterAll(async () => {
  await db.destroy();
  await other.destroy();
  await database.drop();
});

const BACKEND_GONE_MS = 10_000;

async function endBackend(pid: number): Promise<void> {
  await sql`select pg_terminate_backend(${pid}, ${BACKEND_GONE_MS})`.execute(other);
}

test('a connection that is lost between two statements of a transaction fails the next one and nothing else', async () => {
  const lost = db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
    await endBackend(rows[0]?.pid ?? 0);
    await sql`select 1`.execute(trx);
  });

  const error: unknown = await lost.catch((caught: unknown) => caught);
  expect(isDatabaseUnavailable(error)).toBe(true);
  await expect(sql`select 1`.execute(db)).resolves.toMatchObject({ rows: [{ '?column?': 1 }] });
});
