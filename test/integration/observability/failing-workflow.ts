import { log, proxyActivities } from '@temporalio/workflow';

const { callMarketplace } = proxyActivities<{ callMarketplace(): Promise<void> }>({
  startToCloseTimeout: '20 s',
  retry: { maximumAttempts: 1 },
});

/** Logs, and ends with the failure of its only activity. */
export async function failingWorkflow(): Promise<void> {
  log.info('the workflow speaks', { offerId: '1001' });
  await callMarketplace();
}
