import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readActivities } from './recorded-events.js';
import { aPhase, failure, inTurn, OFFER, plansOnce } from './scripted-activities.js';
import { startWorkflowBed, type WorkflowBed } from './workflow-bed.js';

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

test.concurrent('a command without an answer at any attempt is given up; the others and the run go on', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ commandIds: ['bad', 'good'], batches: [1] })]),
    submitCommand: ({ commandId }) =>
      commandId === 'bad' ? Promise.reject(failure('OutcomeUnknown')) : Promise.resolve({ isSent: true }),
  });

  expect(await handle.result()).toMatchObject({ outcome: 'in_sync', failure: null });

  expect(await readActivities(handle, 'giveUpCommand')).toHaveLength(1);
  expect(await readActivities(handle, 'updateOfferBatch')).toHaveLength(1);
  expect(await readActivities(handle, 'checkCommands')).not.toHaveLength(0);
});

test.concurrent('three commands without an answer, and nothing with one, are an outage', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ commandIds: ['a', 'b', 'c'], batches: [1] })]),
    submitCommand: () => Promise.reject(failure('OutcomeUnknown')),
  });

  expect(await handle.result()).toMatchObject({ outcome: 'failed', failure: { class: 'MarketplaceUnavailable' } });

  expect(await readActivities(handle, 'updateOfferBatch')).toHaveLength(0);
});

test.concurrent('an offer that two reports name is tried again once at a time', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ commandIds: ['a command'] })]),
    checkCommands: inTurn(
      () => Promise.resolve({ open: 0, retry: [] }),
      () => Promise.resolve({ open: 1, retry: [OFFER] }),
      () => Promise.resolve({ open: 0, retry: [OFFER] }),
    ),
    updateOfferStock: async () => {
      await new Promise((resolve) => setTimeout(resolve, 6_000));
    },
  });

  await handle.result();

  expect(await readActivities(handle, 'updateOfferStock')).toHaveLength(1);
});
