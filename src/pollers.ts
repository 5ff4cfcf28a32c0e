import type { Client, ConnectionLike } from '@temporalio/client';
import { MARKETPLACE_TASK_QUEUE, TASK_QUEUE } from './workflows/api.js';

/** A worker's poll lasts a minute at most; the server lists pollers for five. */
const POLLER_FRESH_MS = 75_000;
const ANSWER_WITHIN_MS = 5_000;

/** Temporal's numbers for what is polled for (temporal.api.enums.v1.TaskQueueType). */
const WORKFLOW_TASKS = 1;
const ACTIVITY_TASKS = 2;

/** Everything that a worker polls, by the name a person is told. */
const POLLED = [
  { name: `${TASK_QUEUE} (workflows)`, taskQueue: TASK_QUEUE, type: WORKFLOW_TASKS },
  { name: `${TASK_QUEUE} (activities)`, taskQueue: TASK_QUEUE, type: ACTIVITY_TASKS },
  { name: `${MARKETPLACE_TASK_QUEUE} (activities)`, taskQueue: MARKETPLACE_TASK_QUEUE, type: ACTIVITY_TASKS },
] as const;

/** A client and the namespace it is for. */
export interface PolledServer {
  readonly client: Client;
  readonly namespace: string;
}

/** Whether a worker has polled for workflows in the last minute. */
export async function hasWorker(server: PolledServer): Promise<boolean> {
  return isPolled(server, POLLED[0]);
}

/** What nobody has polled for in the last minute; empty: all is well. Without one of them, runs wait. */
export async function findUnpolledQueues(server: PolledServer): Promise<string[]> {
  const found = await Promise.all(POLLED.map(async (queue) => ((await isPolled(server, queue)) ? [] : [queue.name])));
  return found.flat();
}

/** Whether this is everything there is to poll for. */
export function isEverything(unpolled: readonly string[]): boolean {
  return unpolled.length === POLLED.length;
}

async function isPolled({ client, namespace }: PolledServer, queue: (typeof POLLED)[number]): Promise<boolean> {
  const connection: ConnectionLike = client.connection;
  // The enumeration of the types is not exported by the client: the request carries its numbers.
  const request: object = { namespace, taskQueue: { name: queue.taskQueue }, taskQueueType: queue.type };
  const { pollers } = await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () =>
    connection.workflowService.describeTaskQueue(request),
  );
  return pollers.some(({ lastAccessTime }) => {
    const seconds = Number(lastAccessTime?.seconds ?? 0);
    return Date.now() - seconds * 1000 < POLLER_FRESH_MS;
  });
}
