import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NativeConnection, Worker } from '@temporalio/worker';
import { findUnpolledQueues, hasWorker, isEverything } from '../../../src/pollers.js';
import { MARKETPLACE_TASK_QUEUE, TASK_QUEUE } from '../../../src/workflows/api.js';
import { createNamespace, until, type TestNamespace } from '../cli/temporal-namespace.js';

let temporal: TestNamespace;
let connection: NativeConnection;

beforeAll(async () => {
  temporal = await createNamespace();
  connection = await NativeConnection.connect({ address: temporal.address });
});
afterAll(async () => {
  await connection.close();
  await temporal.close();
});

const activities = { nothing: () => Promise.resolve() };

async function whileRunning(worker: Worker, work: () => Promise<void>): Promise<void> {
  await worker.runUntil(work());
}

test('tells what nobody polls: everything, a part, nothing', async () => {
  const queues = await findUnpolledQueues(temporal);
  expect(queues).toEqual([
    `${TASK_QUEUE} (workflows)`,
    `${TASK_QUEUE} (activities)`,
    `${MARKETPLACE_TASK_QUEUE} (activities)`,
  ]);
  expect(isEverything(queues)).toBe(true);
  expect(await hasWorker(temporal)).toBe(false);

  const options = { connection, namespace: temporal.namespace, activities };
  const marketplace = await Worker.create({ ...options, taskQueue: MARKETPLACE_TASK_QUEUE });
  await whileRunning(marketplace, () =>
    until('only the marketplace queue is polled', async () => (await findUnpolledQueues(temporal)).length === 2),
  );
  expect(await hasWorker(temporal)).toBe(false);

  const workflowsPath = fileURLToPath(new URL('../cli/scripted-workflows/index.ts', import.meta.url));
  const workflows = await Worker.create({ ...options, workflowsPath, taskQueue: TASK_QUEUE });
  await whileRunning(workflows, () =>
    until('all are polled', async () => (await findUnpolledQueues(temporal)).length === 0),
  );
  expect(await hasWorker(temporal)).toBe(true);
}, 60_000);
