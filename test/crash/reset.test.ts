import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { TrueOffer } from '../../simulator/admin-client.js';
import { waitUntil } from '../../src/local/wait-until.js';
import { SYNC_ACCOUNT, syncAccountId, TASK_QUEUE, type AccountResult } from '../../src/workflows/api.js';
import { startUnderTest, type ApplicationUnderTest } from '../e2e/application-under-test.js';
import { testWorkflowBundle } from '../servers.js';

/** A reset repeats a run from any of its workflow tasks: it runs afresh, goes on from its rows, or ends as superseded. */

const ACCOUNT = 'shop-1';
const SELLER = '44000001';
const WORKFLOW_ID = syncAccountId(ACCOUNT);
/** SKU → number on offer, number in stock. */
const SHOP = { LOWER: [9, 3], RAISE: [2, 6], ENDS: [5, 0], RIGHT: [4, 4], EQUAL: [7, 7] } as const;

let running: ApplicationUnderTest;

beforeAll(async () => {
  running = await startUnderTest({
    simulator: { accounts: [{ sellerId: SELLER, offers: 0 }] },
    env: { WORKFLOW_BUNDLE: testWorkflowBundle() },
  });
  const { application, importStock } = running;
  await application.admin.addOffers(
    Object.entries(SHOP).map(([externalId, [available]]) => ({
      sellerId: SELLER,
      externalId,
      status: 'ACTIVE' as const,
      available,
    })),
  );
  await importStock(Object.fromEntries(Object.entries(SHOP).map(([sku, [, stock]]) => [sku, stock])));
  await application.connectAccounts('live');
}, 600_000);
afterAll(() => running.close());

const handleOf = (executionId?: string): WorkflowHandle =>
  running.temporal.client.workflow.getHandle(WORKFLOW_ID, executionId);

async function start(): Promise<string> {
  const handle = await running.temporal.client.workflow.start(SYNC_ACCOUNT, {
    taskQueue: TASK_QUEUE,
    workflowId: WORKFLOW_ID,
    args: [{ accountId: ACCOUNT, trigger: 'manual' }],
  });
  return handle.firstExecutionRunId;
}

/** The ids of the events at which a run can be reset. */
async function workflowTasksOf(executionId: string): Promise<number[]> {
  const { events } = await handleOf(executionId).fetchHistory();
  return (events ?? []).flatMap((event) =>
    event.workflowTaskCompletedEventAttributes == null ? [] : [Number(event.eventId)],
  );
}

/** The task that scheduled an activity for the first time; 0: none did. */
async function taskBefore(executionId: string, activity: string): Promise<number> {
  const { events } = await handleOf(executionId).fetchHistory();
  const scheduled = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes);
  const first = scheduled.find((attributes) => attributes?.activityType?.name === activity);
  return Number(first?.workflowTaskCompletedEventId ?? 0);
}

/** By the `temporal` program, as a person does it. */
async function resetTo(executionId: string, eventId: number): Promise<AccountResult> {
  const { address, namespace, temporal } = running.temporal;
  await temporal(
    ...['workflow', 'reset', '--workflow-id', WORKFLOW_ID, '--run-id', executionId, '--event-id', String(eventId)],
    ...['--reason', 'again', '--address', address, '--namespace', namespace],
  );
  const { runId } = await handleOf().describe();
  if (runId === executionId) throw new Error(`the reset to event ${eventId} began no new run`);
  return resultOf(runId);
}

async function resultOf(executionId: string): Promise<AccountResult> {
  return (await handleOf(executionId).result()) as AccountResult;
}

async function numbers(): Promise<Record<string, string>> {
  const shown = ({ status, available }: TrueOffer): string => (status === 'ENDED' ? 'ended' : String(available));
  return Object.fromEntries((await running.offers()).map((offer) => [offer.externalId ?? '', shown(offer)]));
}

async function expectShopInOrder(): Promise<void> {
  await waitUntil(async () => (await numbers())['ENDS'] === 'ended', 5_000);
  expect(await numbers()).toEqual({ LOWER: '3', RAISE: '6', ENDS: 'ended', RIGHT: '4', EQUAL: '7' });
  const { harmfulWrites, redundantWrites } = await running.application.admin.report();
  expect([harmfulWrites.total, redundantWrites.count]).toEqual([0, 0]);
}

function expectWhole(result: AccountResult): void {
  expect(Object.values(result.buckets).reduce((sum, count) => sum + count, 0)).toBe(result.seen);
}

test('a finished run can be reset to any of its workflow tasks', async () => {
  const executionId = await start();
  const first = await resultOf(executionId);
  expect(first).toMatchObject({
    outcome: 'in_sync',
    seen: 5,
    buckets: { lowered: 1, raised: 1, ended: 1, in_sync: 2 },
  });
  await expectShopInOrder();
  const tasks = await workflowTasksOf(executionId);
  expect(tasks.length).toBeGreaterThan(8);
  const [beforeOpening = 0, ...later] = tasks;

  // As long as no other run has opened, each goes on from the rows and counts the same.
  for (const eventId of [...later].reverse()) {
    const again = await resetTo(executionId, eventId);
    expect({ eventId, ...again }).toMatchObject({ outcome: 'in_sync', runId: first.runId, buckets: first.buckets });
    expectWhole(again);
  }
  const afresh = await resetTo(executionId, beforeOpening);
  expect(afresh).toMatchObject({ outcome: 'in_sync', seen: 5, buckets: { in_sync: 5 } });
  expect(afresh.runId).not.toBe(first.runId);
  // Overtaken by the fresh one. Where nothing is left to do but to return, what was counted is returned once more.
  const last = later.pop() ?? 0;
  for (const eventId of later) {
    expect({ eventId, ...(await resetTo(executionId, eventId)) }).toMatchObject({ outcome: 'superseded' });
  }
  expect(await resetTo(executionId, last)).toEqual(first);
  await expectShopInOrder();
}, 600_000);

test('a running run can be reset to before each of its parts, its write under way, and ends with it confirmed', async () => {
  const { admin } = running.application;
  // Each time another offer: one that is flipped back again and again is left to whoever does it.
  const places = { openRun: 'LOWER', scanOffers: 'RAISE', planWrites: 'RIGHT', updateOfferBatch: 'EQUAL' } as const;
  for (const place of ['openRun', 'scanOffers', 'planWrites', 'updateOfferBatch'] as const) {
    const sku = places[place];
    const offer = (await running.offers()).find(({ externalId }) => externalId === sku);
    await admin.editOffer(offer?.id ?? '', { available: 8 });
    await admin.resetReport();
    const { lastPhase: after } = await admin.journal({ limit: 1 });
    const route = 'PATCH /sale/product-offers/{offerId}';
    const hang = { kind: 'hang' as const, ms: 600_000, applied: true };
    const fault = await admin.plantFault({ match: { route, times: 1 }, fault: hang });
    const executionId = await start();
    expect(await admin.waitForRequest({ route, phase: 'applied', after, timeoutMs: 60_000 })).not.toBeNull();

    const again = await resetTo(executionId, await taskBefore(executionId, place));

    await admin.removeFault(fault);
    expect({ place, ...again }).toMatchObject({ outcome: 'in_sync', seen: 5, held: {}, failed: {}, skipped: {} });
    // A new run finds the number there already; one that goes on has the write confirmed.
    expect({ place, buckets: again.buckets }).toMatchObject({ buckets: { in_sync: place === 'openRun' ? 5 : 4 } });
    expectWhole(again);
    await expectShopInOrder();
    expect((await handleOf(executionId).describe()).status.name).toBe('TERMINATED');
    expect(await resultOf(await start())).toMatchObject({ outcome: 'in_sync', buckets: { in_sync: 5 } });
  }
}, 600_000);
