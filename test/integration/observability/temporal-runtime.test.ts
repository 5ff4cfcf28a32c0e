import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { got } from 'got';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { createLogger } from '../../../src/observability/logger.js';
import { readPrometheusText } from '../../../src/observability/prometheus-text.js';
import { freeMetricsAddress, temporalRuntimeOptions } from '../../../src/observability/temporal-runtime.js';
import { testTemporalAddress, testTemporalNamespace } from '../../servers.js';

const TOKEN = 'opaque-access-token-planted';
const workflowsPath = fileURLToPath(new URL('./failing-workflow.ts', import.meta.url));

let marketplace: Server;
let output = '';
let metricsText = '';

/** One run of a worker, as `worker.ts` sets it up, whose activity fails with the HTTP client's own error. */
beforeAll(async () => {
  marketplace = createServer((request, response) => {
    response.writeHead(500).end(JSON.stringify({ echoed: request.headers }));
  }).listen(0, '127.0.0.1');
  await once(marketplace, 'listening');
  const listening = marketplace.address();
  const url = `http://127.0.0.1:${typeof listening === 'object' && listening !== null ? listening.port : 0}/`;

  const metricsAddress = await freeMetricsAddress();
  const logger = createLogger({ level: 'debug', destination: { write: (line: string) => void (output += line) } });
  Runtime.install(temporalRuntimeOptions({ logger, metricsAddress }));

  const address = testTemporalAddress();
  const namespace = testTemporalNamespace();
  const taskQueue = `observability-${randomUUID()}`;
  const nativeConnection = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  const worker = await Worker.create({
    connection: nativeConnection,
    namespace,
    taskQueue,
    workflowsPath,
    activities: {
      callMarketplace: () => got(url, { headers: { authorization: `Bearer ${TOKEN}` }, retry: { limit: 0 } }).text(),
    },
  });
  const client = new Client({ connection, namespace });
  await worker.runUntil(async () => {
    const running = client.workflow.execute('failingWorkflow', { taskQueue, workflowId: taskQueue });
    await expect(running).rejects.toThrow();
    metricsText = await readPrometheusText(new Registry(), metricsAddress);
  });
  await connection.close();
  await nativeConnection.close();
  // What the SDK still buffers is written before it is gone.
  await Runtime.instance().shutdown();
}, 120_000);

afterAll(() => {
  marketplace.closeAllConnections();
  marketplace.close();
});

test('the SDK logs a failed activity without the request that failed', () => {
  const lines = output
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

  expect(lines).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        level: 'warn',
        msg: 'Activity failed',
        error: expect.objectContaining({ name: 'HTTPError', message: expect.stringContaining('500') }),
      }),
    ]),
  );
  expect(output).not.toContain(TOKEN);
});

test('what workflow code logs passes the same log', () => {
  expect(output).toMatch(/"offerId":"1001".*"msg":"the workflow speaks"/);
});

test('the metrics of the SDK are part of the text for Prometheus', () => {
  expect(metricsText).toMatch(/^temporal_\w+\{.*\} \d+$/m);
});
