import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NOBODYS_ANSWER } from '../../src/domain/errors.js';
import { readActivities, readOrder, readTimers } from './recorded-events.js';
import { anOpenRun, aPhase, failure, inTurn, OFFER, plansOnce, RUN_ID } from './scripted-activities.js';
import { startWorkflowBed, until, type WorkflowBed } from './workflow-bed.js';

/** The numbers are those that the server was given: a retry that is declared but not handed over shows here. */

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

/** The settings of `src/activities/open-run.ts` with the default configuration. */
const PRODUCTION = {
  retryCount: 3,
  retryDelaySeconds: 30,
  commandPatienceSeconds: 900,
  phaseRetryCount: 2,
  phaseRetryDelaySeconds: 180,
};

test.concurrent('the list of accounts is tried again after 60 s, 3 times', async () => {
  const handle = await bed.startAllAccounts({});
  await handle.result();

  const [list] = await readActivities(handle, 'loadAccounts');

  expect(list?.retry).toMatchObject({ initialMs: 60_000, coefficient: 1, attempts: 4 });
  expect(list?.startToCloseMs).toBe(120_000);
});

test.concurrent('the opening of an account is tried again after 120 s, twice', async () => {
  const { handle } = await bed.startAccount({});
  await handle.result();

  const [opening] = await readActivities(handle, 'openRun');

  expect(opening?.retry).toMatchObject({ initialMs: 120_000, coefficient: 1, attempts: 3 });
});

test.concurrent(
  'a scan, a batch and a command are tried again after 180 s, twice, and heard of every 10 s',
  async () => {
    const { handle } = await bed.startAccount({
      openRun: anOpenRun({ settings: PRODUCTION }),
      planWrites: plansOnce([aPhase({ batches: [1], commandIds: ['a command'] })]),
    });
    await handle.result();

    const phases = (await readActivities(handle)).filter(({ type }) => /scan|Command|Batch/.test(type));

    expect(new Set(phases.map(({ type }) => type)).size).toBe(4);
    for (const { retry, heartbeatMs } of phases) {
      expect(retry).toMatchObject({ initialMs: 180_000, coefficient: 1, attempts: 3 });
      expect(heartbeatMs).toBe(10_000);
    }
  },
);

test.concurrent('one offer is tried again after 30, 60 and 120 s: the first pause is a timer', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: PRODUCTION }),
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 0 }),
  });
  await until('the pause has begun', async () => (await readTimers(handle)).length > 0);
  const timers = await readTimers(handle);
  await handle.terminate();

  expect(timers).toMatchObject([{ ms: 30_000, summary: `offer ${OFFER}: pause before its first retry` }]);
});

test.concurrent('the pauses of one offer double up to 300 s', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: { retryCount: 5, retryDelaySeconds: 1 } }),
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 0 }),
  });
  await handle.result();

  const [retry] = await readActivities(handle, 'updateOfferStock');

  expect(await readTimers(handle)).toMatchObject([{ ms: 1000 }]);
  expect(retry?.retry).toMatchObject({ initialMs: 2000, coefficient: 2, maximumMs: 300_000, attempts: 5 });
  expect(retry?.input).toEqual({ runId: RUN_ID, offerId: OFFER, priority: 'adhoc', maxAttempts: 6 });
  expect(retry?.heartbeatMs).toBe(10_000);
});

test.concurrent('without declared retries an offer gets no second attempt', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: { retryCount: 0 } }),
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
  });
  await handle.result();

  expect(await readActivities(handle, 'updateOfferStock')).toEqual([]);
  expect(await readActivities(handle, 'rejectOffer')).toHaveLength(1);
});

test.concurrent('a lost worker and a part that is away count as no attempt in any policy', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 0 }),
  });
  await handle.result();

  const activities = await readActivities(handle);

  expect(activities.length).toBeGreaterThan(6);
  for (const { retry } of activities) {
    expect(retry.nonRetryable).toEqual(
      expect.arrayContaining([...NOBODYS_ANSWER, 'TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat']),
    );
  }
});

test.concurrent('what no retry can change is final in every policy', async () => {
  const { handle } = await bed.startAccount({});
  await handle.result();
  const final = ['OfferNotFound', 'OfferRejected', 'AccessDenied', 'TokenRevoked', 'WritesStopped', 'Superseded'];

  for (const { retry } of await readActivities(handle)) {
    expect(retry.nonRetryable).toEqual(expect.arrayContaining([...final, 'ApplicationRefused', 'AccountRefused']));
  }
});

test.concurrent(
  'a marketplace that is away fails the account after the declared attempts, and a person is told',
  async () => {
    const { handle } = await bed.startAccount({ scanOffers: () => Promise.reject(failure('MarketplaceUnavailable')) });

    const result = await handle.result();

    expect(result).toMatchObject({ outcome: 'failed', failure: { class: 'MarketplaceUnavailable' } });
    expect(await readActivities(handle, 'scanOffers')).toMatchObject([{ attempts: 3, end: 'failed' }]);
    expect((await readOrder(handle)).slice(-2)).toEqual(['closeRun', 'notify']);
  },
);

test.concurrent('a marketplace that is back at the second attempt costs nothing but the pause', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: inTurn(
      () => Promise.reject(failure('MarketplaceUnavailable')),
      () => Promise.resolve({ retry: [], settled: 50 }),
    ),
  });

  const result = await handle.result();

  expect(result.outcome).toBe('in_sync');
  expect(await readActivities(handle, 'updateOfferBatch')).toMatchObject([{ attempts: 2, end: 'completed' }]);
});

test.concurrent('a revoked token pauses the account at once', async () => {
  const { handle } = await bed.startAccount({ openRun: () => Promise.reject(failure('TokenRevoked')) });

  const result = await handle.result();

  expect(result).toMatchObject({ outcome: 'paused', runId: null, failure: { class: 'TokenRevoked' } });
  expect(await readActivities(handle, 'openRun')).toMatchObject([{ attempts: 1 }]);
  expect(await readOrder(handle)).toEqual(['openRun', 'closeRun', 'notify']);
});

test.concurrent.each([
  { type: 'TokenRevoked', outcome: 'paused' },
  { type: 'WritesStopped', outcome: 'stopped' },
  { type: 'Superseded', outcome: 'superseded' },
  { type: 'ApplicationRefused', outcome: 'failed' },
  { type: 'AccountRefused', outcome: 'failed' },
] as const)('$type in a batch ends the run as $outcome, at the first attempt', async ({ type, outcome }) => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] }), aPhase({ kind: 'raise', batches: [2] })]),
    updateOfferBatch: () => Promise.reject(failure(type)),
  });

  const result = await handle.result();

  expect(result).toMatchObject({ outcome, runId: RUN_ID, failure: { class: type } });
  expect(await readActivities(handle, 'updateOfferBatch')).toMatchObject([{ attempts: 1 }]);
  expect((await readActivities(handle, 'closeRun'))[0]?.input).toMatchObject({ end: outcome });
});

test.concurrent('an offer that uses up its attempts is rejected alone, the run goes on', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
    updateOfferStock: () => Promise.reject(failure('OfferConflict')),
  });

  const result = await handle.result();

  expect(result.outcome).toBe('in_sync');
  expect(await readActivities(handle, 'updateOfferStock')).toMatchObject([{ attempts: 2, end: 'failed' }]);
  const [rejected] = await readActivities(handle, 'rejectOffer');
  expect(rejected?.input).toEqual({
    runId: RUN_ID,
    offerId: OFFER,
    errorClass: 'OfferConflict',
    message: 'OfferConflict in a test',
  });
});

test.concurrent('an offer that is not found is rejected at its first answer', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
    updateOfferStock: () => Promise.reject(failure('OfferNotFound')),
  });
  await handle.result();

  expect(await readActivities(handle, 'updateOfferStock')).toMatchObject([{ attempts: 1 }]);
  expect(await readActivities(handle, 'rejectOffer')).toHaveLength(1);
});

test.concurrent('a revoked token at the retry of one offer ends the account, and rejects no offer', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
    updateOfferStock: () => Promise.reject(failure('TokenRevoked')),
  });

  const result = await handle.result();

  expect(result.outcome).toBe('paused');
  expect(await readActivities(handle, 'rejectOffer')).toEqual([]);
});

test.concurrent('the other batches go on while one offer waits for its retry', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: { retryDelaySeconds: 2 } }),
    planWrites: plansOnce([aPhase({ kind: 'end', batches: [1] }), aPhase({ batches: [2] })]),
    updateOfferBatch: inTurn(
      () => Promise.resolve({ retry: [OFFER], settled: 49 }),
      () => Promise.resolve({ retry: [], settled: 50 }),
    ),
  });
  await handle.result();

  const [, second] = await readActivities(handle, 'updateOfferBatch');
  const [pause] = await readTimers(handle);

  expect(second?.endedAt).toBeLessThan(pause?.firedAt ?? 0);
});
