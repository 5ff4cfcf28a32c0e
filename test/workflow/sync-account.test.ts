import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MARKETPLACE_TASK_QUEUE, SYNC_OUTCOME_KEY, TASK_QUEUE, accountProgressQuery } from '../../src/workflows/api.js';
import { readActivities, readOrder, readTimers } from './recorded-events.js';
import { anOpenRun, aPage, aPhase, aScript, hasRoom, inTurn, OFFER, plansOnce, RUN_ID } from './scripted-activities.js';
import { startWorkflowBed, until, type WorkflowBed } from './workflow-bed.js';

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

test.concurrent(
  'settles what earlier runs left, scans, guards, plans and closes, without telling anybody that all is well',
  async () => {
    const { handle } = await bed.startAccount({});

    const result = await handle.result();

    expect(result).toMatchObject({ outcome: 'in_sync', runId: RUN_ID, failure: null });
    expect(await readOrder(handle)).toEqual([
      'openRun',
      'checkCommands',
      'awaitRateLimit',
      'scanOffers',
      'checkGuards',
      'planWrites',
      'closeRun',
    ]);
  },
);

test.concurrent(
  'asks for sales before the guard where something differs, on the marketplace’s task queue',
  async () => {
    const { handle } = await bed.startAccount({
      scanOffers: inTurn(aPage({ cursor: { position: 5 }, differing: 1 }), aPage({ differing: 0 })),
    });
    await handle.result();

    const order = await readOrder(handle);
    expect(order.slice(order.lastIndexOf('scanOffers'))).toEqual([
      'scanOffers',
      'awaitRateLimit',
      'confirmSales',
      'checkGuards',
      'planWrites',
      'closeRun',
    ]);
    expect(await readActivities(handle, 'confirmSales')).toMatchObject([{ taskQueue: MARKETPLACE_TASK_QUEUE }]);
  },
);

test.concurrent('sends requests to the marketplace on a task queue of their own', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1], commandIds: ['a command'] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
  });
  await handle.result();

  const queues = new Map((await readActivities(handle)).map(({ type, taskQueue }) => [type, taskQueue]));

  const marketplace = ['openRun', 'checkCommands', 'scanOffers', 'submitCommand', 'updateOfferBatch'];
  for (const type of [...marketplace, 'updateOfferStock']) expect(queues.get(type)).toBe(MARKETPLACE_TASK_QUEUE);
  for (const type of ['awaitRateLimit', 'checkGuards', 'planWrites', 'closeRun']) {
    expect(queues.get(type)).toBe(TASK_QUEUE);
  }
});

test.concurrent('a preview scans and guards, and neither settles nor sends', async () => {
  const { handle } = await bed.startAccount(
    { openRun: anOpenRun({ mode: 'preview' }), planWrites: plansOnce([aPhase({ batches: [1] })]) },
    { preview: true },
  );

  const result = await handle.result();

  expect(result.mode).toBe('preview');
  expect(await readOrder(handle)).toEqual(['openRun', 'awaitRateLimit', 'scanOffers', 'checkGuards', 'closeRun']);
  const [opened] = await readActivities(handle, 'openRun');
  expect(opened?.input).toMatchObject({ isPreview: true });
});

test.concurrent('a run that was not opened is closed without a run id, with the reason that opening gave', async () => {
  const failure = { class: 'AccountPaused', message: 'on holiday' };
  const head = { accountName: 'Shop', mode: 'live' as const };
  const { handle } = await bed.startAccount({
    openRun: () => Promise.resolve({ kind: 'not_opened', ...head, outcome: 'paused', failure }),
  });

  const result = await handle.result();

  expect(result).toMatchObject({ outcome: 'paused', failure });
  const [closed] = await readActivities(handle, 'closeRun');
  expect(closed?.input).toMatchObject({ ...head, runId: null, end: 'paused', failure });
  expect(await readOrder(handle)).toEqual(['openRun', 'closeRun', 'notify']);
});

test.concurrent('a scan goes on from the cursor that it returned, to the end', async () => {
  const { handle } = await bed.startAccount({
    scanOffers: inTurn(
      aPage({ cursor: { position: 5000 }, seen: 5000, total: 8000 }),
      aPage({ seen: 3000, total: 8000 }),
    ),
  });
  await handle.result();

  const scans = await readActivities(handle, 'scanOffers');

  expect(scans.map(({ input }) => input)).toEqual([
    { runId: RUN_ID, cursor: { position: 0 }, priority: 'adhoc' },
    { runId: RUN_ID, cursor: { position: 5000 }, priority: 'adhoc' },
  ]);
});

test.concurrent('a run of the schedule asks for permits behind runs that a person waits for', async () => {
  const { handle } = await bed.startAccount({}, { trigger: 'schedule' });
  await handle.result();

  const [scan] = await readActivities(handle, 'scanOffers');

  expect(scan?.input).toMatchObject({ priority: 'scheduled' });
});

test.concurrent(
  'a phase begins only when every write of the more dangerous phase before it has its answer',
  async () => {
    const { handle } = await bed.startAccount({
      planWrites: plansOnce([
        aPhase({ kind: 'end', batches: [1, 2] }),
        aPhase({ kind: 'lower', commandIds: ['a command'], batches: [3] }),
        aPhase({ kind: 'raise', batches: [4] }),
      ]),
    });
    await handle.result();

    const sent = (await readActivities(handle)).filter(({ type }) => /submitCommand|updateOfferBatch/.test(type));

    const summaries = sent.map(({ summary }) => summary ?? '');
    expect(summaries.slice(0, 2).sort()).toEqual(['end: batch 1', 'end: batch 2']);
    expect(summaries.slice(2)).toEqual(['lower: many offers at once', 'lower: batch 3', 'raise: batch 4']);
    const endOfEndings = Math.max(...sent.slice(0, 2).map(({ endedAt }) => endedAt));
    expect(sent[2]?.scheduledAt).toBeGreaterThan(endOfEndings);
    expect(sent[4]?.scheduledAt).toBeGreaterThan(sent[3]?.endedAt ?? Infinity);
  },
);

test.concurrent('at most four batches of an account are at work at the same time', async () => {
  let begun = 0;
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ batches: [1, 2, 3, 4, 5, 6, 7, 8, 9] })]),
    updateOfferBatch: async () => {
      begun += 1;
      await until('four batches are at work', () => Promise.resolve(begun >= 4), 8_000);
      return { retry: [], settled: 50 };
    },
  });
  await handle.result();

  const batches = await readActivities(handle, 'updateOfferBatch');

  const atWork = batches.map(
    ({ scheduledAt: now }) => batches.filter((other) => other.scheduledAt <= now && other.endedAt > now).length,
  );
  expect(Math.max(...atWork)).toBe(4);
});

test.concurrent('what was sent back to the plan is planned again, until nothing is left', async () => {
  const { handle } = await bed.startAccount({
    planWrites: inTurn(
      () => Promise.resolve({ phases: [aPhase({ batches: [1] })] }),
      () => Promise.resolve({ phases: [aPhase({ commandIds: ['a command'] })] }),
      () => Promise.resolve({ phases: [] }),
    ),
  });
  await handle.result();

  const order = (await readOrder(handle)).filter((type) => /planWrites|submitCommand|updateOfferBatch/.test(type));
  // Commands that were sent are asked for, and may send rows back: hence one more look at the plan.
  expect(order).toEqual([
    ...['planWrites', 'updateOfferBatch', 'planWrites', 'submitCommand', 'planWrites', 'planWrites'],
  ]);
  // Only while no command is at work may the plan take up what an execution before this one was sending.
  const plans = await readActivities(handle, 'planWrites');
  expect(plans.map(({ input }) => input)).toMatchObject([true, true, false, true].map((isIdle) => ({ isIdle })));
});

test.concurrent('reports of commands are asked for until none is open', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ commandIds: ['a command'] })]),
    checkCommands: inTurn(
      () => Promise.resolve({ open: 0, retry: [] }),
      () => Promise.resolve({ open: 1, retry: [] }),
      () => Promise.resolve({ open: 0, retry: [] }),
    ),
  });
  await handle.result();

  const checks = await readActivities(handle, 'checkCommands');
  const timers = await readTimers(handle);

  expect(checks.map(({ input }) => input)).toMatchObject([
    { of: 'earlier_runs', isLastCheck: true },
    { of: 'this_run', isLastCheck: false },
    { of: 'this_run', isLastCheck: false },
  ]);
  expect(timers).toMatchObject([
    { ms: 2000, summary: 'commands at work' },
    { ms: 4000, summary: 'commands at work' },
  ]);
});

test.concurrent('a command without an end is asked for a last time when the patience is over', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: { commandPatienceSeconds: 3 } }),
    planWrites: plansOnce([aPhase({ commandIds: ['a command'] })]),
    checkCommands: ({ of }) => Promise.resolve({ open: of === 'this_run' ? 1 : 0, retry: [] }),
  });

  const result = await handle.result();

  const checks = await readActivities(handle, 'checkCommands');
  expect(checks.map(({ input }) => input)).toMatchObject([
    { of: 'earlier_runs', isLastCheck: true },
    { of: 'this_run', isLastCheck: false },
    { of: 'this_run', isLastCheck: true },
  ]);
  expect(result.outcome).toBe('in_sync');
});

test.concurrent('an offer that a command could not change gets its own retries', async () => {
  const { handle } = await bed.startAccount({
    planWrites: plansOnce([aPhase({ commandIds: ['a command'] })]),
    checkCommands: inTurn(
      () => Promise.resolve({ open: 0, retry: [] }),
      () => Promise.resolve({ open: 0, retry: [OFFER] }),
    ),
  });
  await handle.result();

  const [retry] = await readActivities(handle, 'updateOfferStock');
  expect(retry?.input).toMatchObject({ runId: RUN_ID, offerId: OFFER });
});

test.concurrent('the progress query tells the phase, the counts and what the run waits for', async () => {
  const { handle, accountId } = await bed.startAccount({
    scanOffers: aPage({ seen: 120, differing: 7, total: 120 }),
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [], settled: 7 }),
    awaitRateLimit: inTurn(hasRoom, hasRoom, () => Promise.resolve({ waitMs: 4_000, scope: 'seller' }), hasRoom),
  });

  await until('the run waits for a permit', async () => {
    const progress = await handle.query(accountProgressQuery);
    return progress.waitingUntil !== null;
  });
  const waiting = await handle.query(accountProgressQuery);
  await handle.result();
  const done = await handle.query(accountProgressQuery);

  expect(waiting).toMatchObject({ accountId, runId: RUN_ID, phase: 'writing', seen: 120, total: 120, differing: 7 });
  expect(Date.parse(waiting.waitingUntil ?? '')).toBeGreaterThan(Date.now() - 10_000);
  expect(done).toMatchObject({ phase: 'done', settled: 7, waitingUntil: null });
  expect(await readTimers(handle)).toMatchObject([{ ms: 4_000, summary: 'seller is full for 4 s' }]);
});

test.concurrent('a pause before the retry of one offer is not shown as a wait for a permit', async () => {
  const { handle } = await bed.startAccount({
    openRun: anOpenRun({ settings: { retryDelaySeconds: 60 } }),
    planWrites: plansOnce([aPhase({ batches: [1] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 0 }),
  });
  await until('the offer pauses', async () => (await readTimers(handle)).length === 1);
  const readProgress = () => handle.query(accountProgressQuery);
  await until('nothing else is left to do', async () => (await readProgress()).phase === 'confirming');

  const { waitingUntil } = await readProgress();
  await handle.terminate();

  expect(waitingUntil).toBeNull();
});

test.concurrent('a permit that is less than two seconds away is left to the request itself', async () => {
  const { handle } = await bed.startAccount({
    awaitRateLimit: () => Promise.resolve({ waitMs: 1_999, scope: 'client' }),
  });
  await handle.result();

  expect(await readTimers(handle)).toEqual([]);
});

test.concurrent('the outcome is a search attribute, and the buckets are in the details', async () => {
  const { handle, accountId } = await bed.startAccount({
    closeRun: async (input) => {
      const { result } = await aScript().closeRun(input);
      return { result: { ...result, outcome: 'problems', failed: { OfferRejected: 2 } }, hasMessages: true };
    },
  });
  await handle.result();

  const { typedSearchAttributes } = await handle.describe();
  const { outcome, failed } = await handle.result();

  expect(typedSearchAttributes.get(SYNC_OUTCOME_KEY)).toBe('problems');
  expect({ outcome, failed }).toEqual({ outcome: 'problems', failed: { OfferRejected: 2 } });
  await until('the run is found by account and outcome', async () => {
    const query = `AccountId = '${accountId}' AND SyncOutcome = 'problems' AND SyncTrigger = 'manual'`;
    for await (const { workflowId } of bed.client.workflow.list({ query })) return workflowId === handle.workflowId;
    return false;
  });
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  expect(metadata.currentDetails).toContain('**Shop** (live): **problems**');
  expect(metadata.currentDetails).toContain('| in_sync | 10 |');
});

test.concurrent('every activity and every timer says in the Web UI what it is for', async () => {
  const { handle } = await bed.startAccount({
    awaitRateLimit: inTurn(() => Promise.resolve({ waitMs: 2_000, scope: 'client' }), hasRoom),
    planWrites: plansOnce([aPhase({ batches: [1], commandIds: ['a command'] })]),
    updateOfferBatch: () => Promise.resolve({ retry: [OFFER], settled: 49 }),
    closeRun: async (input) => ({ ...(await aScript().closeRun(input)), hasMessages: true }),
  });
  await handle.result();

  const [activities, timers] = [await readActivities(handle), await readTimers(handle)];

  expect(new Set(activities.map(({ type }) => type)).size).toBe(11);
  expect(timers).toHaveLength(3);
  for (const { summary } of [...activities, ...timers]) expect(summary).toMatch(/\w{4}/);
});
