import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure, Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import type { SenderTask } from './messages.js';
import type { PermitSource } from './permit-sources.js';

/** Of all accounts together: each process polls one task queue, and the server limits that queue. */
export async function openTemporalSource(
  task: SenderTask,
  send: (account: string) => Promise<number | null>,
): Promise<PermitSource> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const taskQueue = task.clientId;
  const native = await NativeConnection.connect({ address: task.temporalAddress });
  const worker = await Worker.create({
    connection: native,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('./temporal-workflow.ts', import.meta.url)),
    maxTaskQueueActivitiesPerSecond: task.limit / 60,
    activities: {
      async sendRequest(account: string): Promise<void> {
        const blockMs = await send(account);
        if (blockMs !== null) throw ApplicationFailure.create({ message: '429', nextRetryDelay: blockMs });
      },
    },
  });
  void worker.run();
  const client = new Client({ connection: await Connection.connect({ address: task.temporalAddress }) });
  return {
    roundTrips: () => null,
    async sendAll({ account, requests, atOnce }) {
      const args = [{ account, requests, atOnce }];
      await client.workflow.execute('sendRequests', { taskQueue, workflowId: `${account}-${randomUUID()}`, args });
    },
  };
}
