import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestDatabase, createUnmigratedDatabase, type TestDatabase } from '../../servers.js';
import { runClient, spawnClient } from './client-under-test.js';

let database: TestDatabase;
let unmigrated: TestDatabase;

beforeAll(async () => {
  [database, unmigrated] = await Promise.all([createTestDatabase(), createUnmigratedDatabase()]);
});
afterAll(async () => {
  await Promise.all([database.drop(), unmigrated.drop()]);
});

describe('the command line as a process', () => {
  test('prints plain lines when piped, and ends with 0', async () => {
    const env = { DATABASE_URL: database.url };
    expect(await spawnClient(env, ['stock', 'set', 'TEA', '3'])).toMatchObject({
      status: 0,
      stdout: 'TEA in main: 3 (new).\n',
    });
    const { stdout } = await spawnClient(env, ['stock', 'list']);
    expect(stdout).toMatch(/^sku {2}warehouse {2}quantity {2}changed\nTEA {2}main {7}3 {9}\d{4}-/);
  });

  test('shows its commands with an example, and ends with 0', async () => {
    const ran = await spawnClient({}, ['--help']);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toContain('Example:');
  });

  test('ends with 2 on wrong configuration, naming the variable', async () => {
    const ran = await spawnClient({ DATABASE_URL: 'mysql://localhost/stock' }, ['accounts', 'list']);
    expect(ran).toMatchObject({ status: 2, stdout: '' });
    expect(ran.stderr).toContain('DATABASE_URL must start with postgres');
  });

  test('says that a database is not migrated, migrates it, and goes on', async () => {
    const env = { DATABASE_URL: unmigrated.url };
    const refused = await runClient(env, ['accounts', 'list']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/is not migrated \(missing: 0001-initial.*Run: npm run migrate/);
    expect(await spawnClient(env, ['migrate'])).toMatchObject({ status: 0 });
    expect(await runClient(env, ['accounts', 'list'])).toMatchObject({ status: 0 });
  });
});

/** Nobody listens on port 1, and the password must not be shown. */
const NOWHERE = 'postgres://seller:secret-5a1c@127.0.0.1:1/stock';

describe('a server that does not answer', () => {
  test("ends a command with 1, naming PostgreSQL's address without the password", async () => {
    const ran = await runClient({ DATABASE_URL: NOWHERE }, ['accounts', 'list']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('PostgreSQL at 127.0.0.1:1/stock cannot be used');
    expect(ran.stderr).not.toContain('secret-5a1c');
  });

  test("ends a command with 1, naming Temporal's address", async () => {
    const ran = await runClient({ TEMPORAL_ADDRESS: '127.0.0.1:1' }, ['schedule', 'describe']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('Temporal at 127.0.0.1:1 cannot be reached');
  });
});
