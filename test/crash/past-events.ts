import type { Client } from '@temporalio/client';

/** What a history tells of one activity. */
export interface PastEvent {
  readonly kind: 'started' | 'timed_out';
  readonly activity: string;
  /** Epoch ms. */
  readonly at: number;
}

/** Starts and time-outs of the activities of the newest execution. */
export async function historyEvents(client: Client, workflowId: string): Promise<PastEvent[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const names = new Map<string, string>();
  const past: PastEvent[] = [];
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled != null) names.set(String(event.eventId), scheduled.activityType?.name ?? '');
    const started = event.activityTaskStartedEventAttributes;
    const timedOut = event.activityTaskTimedOutEventAttributes;
    const of = started ?? timedOut;
    if (of == null) continue;
    const { seconds, nanos } = event.eventTime ?? {};
    past.push({
      kind: started == null ? 'timed_out' : 'started',
      activity: names.get(String(of.scheduledEventId)) ?? '',
      at: Number(seconds ?? 0) * 1000 + (nanos ?? 0) / 1_000_000,
    });
  }
  return past;
}
