import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { accountProgressQuery, type SyncAccountInput } from '../../src/workflows/api.js';
import { testTemporalCli } from '../servers.js';
import { startOwnTemporal } from './own-temporal.js';
import { readActivities, type RecordedActivity } from './recorded-events.js';
import { aPage, aPhase, OFFER, plansOnce, QUICK_SETTINGS, RUN_ID } from './scripted-activities.js';
import { startWorkflowBed, type AccountRun, type WorkflowBed } from './workflow-bed.js';

/** Events after which the server suggests to continue as new; 4096 in production. */
const SUGGESTED_AFTER = 75;

let bed: WorkflowBed;

beforeAll(async () => {
  const server = await startOwnTemporal(testTemporalCli(), {
    'limit.historyCount.suggestContinueAsNew': String(SUGGESTED_AFTER),
  });
  bed = await startWorkflowBed(server);
});

afterAll(() => bed.close());

interface Execution {
  readonly input: SyncAccountInput;
  readonly activities: readonly RecordedActivity[];
}

/** All executions of a run, in their order. */
async function readChain({ workflowId, firstExecutionRunId }: AccountRun): Promise<Execution[]> {
  return readChainFrom(workflowId, firstExecutionRunId);
}

async function readChainFrom(workflowId: string, runId: string): Promise<Execution[]> {
  const handle = bed.client.workflow.getHandle(workflowId, runId);
  const events = (await handle.fetchHistory()).events ?? [];
  const payload = events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  if (payload == null) throw new Error('an execution without input');
  const input = defaultPayloadConverter.fromPayload<SyncAccountInput>(payload);
  const execution = { input, activities: await readActivities(handle) };
  const next = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  return next == null || next === '' ? [execution] : [execution, ...(await readChainFrom(workflowId, next))];
}

function count(chain: readonly Execution[], type: string): number {
  return chain.flatMap(({ activities }) => activities).filter((activity) => activity.type === type).length;
}

test('a long scan continues as new with its run, cursor, counts and deadline, and every page is read once', async () => {
  const pages = 20;
  const { handle } = await bed.startAccount({
    scanOffers: ({ cursor: { position }, ...input }) => {
      const next = position + 5000;
      const page = { seen: 5000, differing: 2, total: pages * 5000 };
      return aPage({ ...page, cursor: next < pages * 5000 ? { position: next } : null })({
        ...input,
        cursor: { position },
      });
    },
  });

  const result = await handle.result();

  const chain = await readChain(handle);
  expect(result).toMatchObject({ outcome: 'in_sync', runId: RUN_ID, accountName: 'Shop' });
  expect(chain.length).toBeGreaterThan(2);
  const scans = chain.flatMap(({ activities }) => activities.filter(({ type }) => type === 'scanOffers'));
  expect(scans.map(({ input }) => input)).toEqual(
    Array.from({ length: pages }, (_, page) => ({
      runId: RUN_ID,
      cursor: { position: page * 5000 },
      priority: 'adhoc',
    })),
  );
  const [first, ...continued] = chain;
  let read = 0;
  for (const [index, { input, activities }] of continued.entries()) {
    read += chain[index]?.activities.filter(({ type }) => type === 'scanOffers').length ?? 0;
    expect(activities[0]?.type).toBe('awaitRateLimit');
    expect(input.continued).toEqual({
      ...{ runId: RUN_ID, accountName: 'Shop', mode: 'live', settings: QUICK_SETTINGS, isScanned: false },
      ...{ cursor: { position: read * 5000 }, seen: read * 5000, differing: read * 2 },
    });
    expect(input.deadlineAt).toBe(continued[0]?.input.deadlineAt);
  }
  expect(first?.input.deadlineAt).toBeUndefined();
  const sixHours = Date.now() + 6 * 3_600_000;
  expect(Math.abs(Date.parse(continued[0]?.input.deadlineAt ?? '') - sixHours)).toBeLessThan(120_000);
  for (const type of ['openRun', 'checkCommands', 'checkGuards', 'closeRun']) expect(count(chain, type)).toBe(1);
  expect(await handle.query(accountProgressQuery)).toMatchObject({ seen: pages * 5000, differing: pages * 2 });
});

test('long writing continues as new between two phases, when retries and commands have their answers', async () => {
  const batches = [1, 2, 3, 4, 5, 6, 7, 8];
  const { handle } = await bed.startAccount(
    {
      planWrites: plansOnce([aPhase({ kind: 'end', batches, commandIds: ['a command'] }), aPhase({ batches: [9] })]),
      updateOfferBatch: ({ batch }) => Promise.resolve({ retry: batch === 1 ? [OFFER] : [], settled: 50 }),
    },
    { deadlineAt: new Date(Date.now() + 600_000).toISOString() },
  );

  const result = await handle.result();

  const chain = await readChain(handle);
  expect(result).toMatchObject({ outcome: 'in_sync', runId: RUN_ID });
  expect(chain).toHaveLength(2);
  const [first, second] = chain;
  expect(first?.activities.every(({ end }) => end === 'completed')).toBe(true);
  expect(first?.activities.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['updateOfferStock', 'submitCommand', 'checkCommands']),
  );
  expect(second?.input).toMatchObject({
    deadlineAt: first?.input.deadlineAt,
    continued: { runId: RUN_ID, isScanned: true },
  });
  // What is left is in the plan: it is asked for again, nothing is opened, settled or scanned anew.
  expect(second?.activities.map(({ type }) => type)).toEqual(['planWrites', 'closeRun']);
});
