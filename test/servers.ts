import { freshDatabaseName, runOnServer, withDatabase } from './server-preparation.js';

/** The servers that `test/run.ts` started, as test files see them. */

function fromRunner(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(
      `${name} is not set: this test needs the real servers. Run it with "npm test -- <path of the test file>".`,
    );
  }
  return value;
}

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A migrated, empty database of the test file's own. Drop it in `afterAll`; open connections are cut off then. */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase(` template ${fromRunner('TEST_TEMPLATE_DATABASE')}`);
}

/** A database without tables, for tests of what happens before the migrations. */
export async function createUnmigratedDatabase(): Promise<TestDatabase> {
  return createDatabase('');
}

async function createDatabase(clause: string): Promise<TestDatabase> {
  const server = fromRunner('TEST_DATABASE_URL');
  const name = freshDatabaseName('test');
  await runOnServer(server, `create database ${name}${clause}`);
  return {
    url: withDatabase(server, name),
    drop: () => runOnServer(server, `drop database if exists ${name} with (force)`),
  };
}

/** A Redis database that only this jest worker uses; its test files run one after another and may empty it. */
export function testRedisUrl(): string {
  return withDatabase(fromRunner('TEST_REDIS_URL'), process.env['JEST_WORKER_ID'] ?? '1');
}

/** host:port of the Temporal server all test files share: use task queues and workflow ids of your own. */
export function testTemporalAddress(): string {
  return fromRunner('TEST_TEMPORAL_ADDRESS');
}

export function testTemporalNamespace(): string {
  return fromRunner('TEST_TEMPORAL_NAMESPACE');
}

export function testTemporalUiUrl(): string {
  return fromRunner('TEST_TEMPORAL_UI_URL');
}

/** The path of the `temporal` program. */
export function testTemporalCli(): string {
  return fromRunner('TEST_TEMPORAL_CLI');
}

/** The file of the prebuilt workflow bundle, for `Worker.create({ workflowBundle: { codePath } })`. */
export function testWorkflowBundle(): string {
  return fromRunner('TEST_WORKFLOW_BUNDLE');
}
