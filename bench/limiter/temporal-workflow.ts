import { continueAsNew, proxyActivities } from '@temporalio/workflow';

/** Histories stay small enough for the server. */
const ACTIVITIES_PER_RUN = 1000;

const { sendRequest } = proxyActivities<{ sendRequest(account: string): Promise<void> }>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '10 seconds' },
});

export interface SendRequestsInput {
  account: string;
  requests: number;
  atOnce: number;
}

/** One activity a request: how fast they start is the task queue's limit. */
export async function sendRequests(input: SendRequestsInput): Promise<void> {
  let left = Math.min(input.requests, ACTIVITIES_PER_RUN);
  const later = input.requests - left;
  async function work(): Promise<void> {
    while (left > 0) {
      left -= 1;
      await sendRequest(input.account);
    }
  }
  await Promise.all(Array.from({ length: input.atOnce }, work));
  if (later > 0) await continueAsNew<typeof sendRequests>({ ...input, requests: later });
}
