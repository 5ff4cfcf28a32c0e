import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYNC_OUTCOME_KEY } from '../../src/workflows/api.js';
import { readActivities, readOrder, readTimers, type RecordedActivity } from './recorded-events.js';
import {
  anOpenRun,
  aPhase,
  aScript,
  failure,
  inTurn,
  OFFER,
  plansOnce,
  untilCancelled,
} from './scripted-activities.js';
import { startWorkflowBed, until, type AccountRun, type WorkflowBed } from './workflow-bed.js';

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

async function untilStarted(handle: AccountRun, type: string, count = 1): Promise<void> {
  await until(`${count} of ${type} are at work`, async () => {
    const { raw } = await handle.describe();
    const pending = (raw.pendingActivities ?? []).filter(
      ({ activityType, lastStartedTime }) => activityType?.name === type && lastStartedTime != null,
    );
    return pending.length >= count;
  });
}

function lastEnd(activities: readonly RecordedActivity[]): number {
  return Math.max(...activities.map(({ endedAt }) => endedAt));
}

test.concurrent('a cancelled run ends the write that it is at, sends no other, counts and tells', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] }), aPhase({ kind: 'raise', batches: [2] })]),
    updateOfferBatch: () => untilCancelled({ lastWriteMs: 300 }),
  });
  await untilStarted(handle, 'updateOfferBatch');

  await handle.cancel();
  const result = await handle.result();

  expect(result).toMatchObject({ outcome: 'stopped', failure: { class: 'Cancelled' } });
  expect(await readActivities(handle, 'updateOfferBatch')).toMatchObject([{ end: 'canceled' }]);
  expect((await readOrder(handle)).slice(-2)).toEqual(['closeRun', 'notify']);
  expect((await handle.describe()).typedSearchAttributes.get(SYNC_OUTCOME_KEY)).toBe('stopped');
});

test.concurrent('a cancelled run is counted only when every batch at work has ended its write', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1, 2, 3] })]),
    updateOfferBatch: ({ batch }) => untilCancelled({ lastWriteMs: batch === 1 ? 0 : 1_500 }),
  });
  await untilStarted(handle, 'updateOfferBatch', 3);

  await handle.cancel();
  await handle.result();

  const [closing] = await readActivities(handle, 'closeRun');
  expect(closing?.scheduledAt).toBeGreaterThan(lastEnd(await readActivities(handle, 'updateOfferBatch')));
});

test.concurrent(
  'a batch that ends the account stops the others, and the run is counted when they have stopped',
  async () => {
    const { handle } = await bed.startAccount({
      planWrites: plansOnce([aPhase({ batches: [1, 2] })]),
      updateOfferBatch: ({ batch }) =>
        batch === 1 ? Promise.reject(failure('TokenRevoked')) : untilCancelled({ lastWriteMs: 1_500 }),
    });

    const result = await handle.result();

    const batches = await readActivities(handle, 'updateOfferBatch');
    const [closing] = await readActivities(handle, 'closeRun');
    expect(result.outcome).toBe('paused');
    expect(batches.map(({ end }) => end).sort()).toEqual(['canceled', 'failed']);
    expect(closing?.scheduledAt).toBeGreaterThan(lastEnd(batches));
  },
);

test.concurrent(
  'a retry that ends the account stops the batches at work, and the run is counted when they have stopped',
  async () => {
    const { handle } = await bed.startAccount({
      planWrites: plansOnce([aPhase({ batches: [1] }), aPhase({ kind: 'raise', batches: [2] })]),
      updateOfferBatch: ({ batch }) =>
        batch === 1 ? Promise.resolve({ retry: [OFFER], settled: 0 }) : untilCancelled({ lastWriteMs: 1_500 }),
      updateOfferStock: () => Promise.reject(failure('TokenRevoked')),
    });

    const result = await handle.result();

    const [, second] = await readActivities(handle, 'updateOfferBatch');
    const [closing] = await readActivities(handle, 'closeRun');
    expect(result.outcome).toBe('paused');
    expect(second?.end).toBe('canceled');
    expect(closing?.scheduledAt).toBeGreaterThan(second?.endedAt ?? Infinity);
  },
);

test.concurrent(
  'a run that is cancelled while it scans, waits for a permit, or pauses before a retry ends at once',
  async () => {
    const scanning = await bed.startAccount({ scanOffers: () => untilCancelled() });
    const waiting = await bed.startAccount({
      awaitRateLimit: () => Promise.resolve({ waitMs: 600_000, scope: 'client' }),
    });
    const pausing = await bed.startAccount({
      openRun: anOpenRun({ settings: { retryDelaySeconds: 300 } }),
      planWrites: plansOnce([aPhase({ batches: [1] })]),
      updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 0 }),
    });
    await untilStarted(scanning.handle, 'scanOffers');
    for (const { handle } of [waiting, pausing]) {
      await until('the timer runs', async () => (await readTimers(handle)).length === 1);
    }

    for (const { handle } of [scanning, waiting, pausing]) await handle.cancel();

    for (const { handle } of [scanning, waiting, pausing]) {
      expect(await handle.result()).toMatchObject({ outcome: 'stopped' });
      expect((await readOrder(handle)).slice(-2)).toEqual(['closeRun', 'notify']);
    }
  },
);

test.concurrent('a run that fails and is cancelled while it is closed is counted and told all the same', async () => {
  let isCancelled = false;
  const { handle } = await bed.startAccount({
    scanOffers: () => Promise.reject(failure('TokenRevoked')),
    closeRun: async (input) => {
      await until('the run is cancelled', () => Promise.resolve(isCancelled));
      return aScript().closeRun(input);
    },
    notify: inTurn(
      () => Promise.reject(failure('DependencyUnavailable')),
      () => Promise.resolve({ sent: 1, failed: 0 }),
    ),
  });
  await untilStarted(handle, 'closeRun');

  await handle.cancel();
  await until('the request is in the history', async () => {
    const { events } = await handle.fetchHistory();
    return (events ?? []).some((event) => event.workflowExecutionCancelRequestedEventAttributes != null);
  });
  isCancelled = true;
  const result = await handle.result();

  expect(result.outcome).toBe('paused');
  expect(await readActivities(handle, 'notify')).toMatchObject([{ end: 'failed' }, { end: 'completed' }]);
});
