import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { SCHEDULE_ID, SYNC_ALL_ACCOUNTS_ID, TASK_QUEUE } from '../../../src/workflows/api.js';
import { runClient, type Ran } from './client-under-test.js';
import { createNamespace, until, type TestNamespace } from './temporal-namespace.js';

let temporal: TestNamespace;

beforeAll(async () => {
  temporal = await createNamespace();
});
afterAll(() => temporal.close());
afterEach(async () => {
  await schedule(['delete']);
});

function schedule(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return runClient({ ...temporal.env, ...env }, ['schedule', ...args]);
}

async function describeAction() {
  return temporal.client.schedule.getHandle(SCHEDULE_ID).describe();
}

const stateSchema = z.object({ isPaused: z.boolean(), note: z.string().nullable(), intervalSeconds: z.number() });

describe('schedule apply', () => {
  test('makes a Schedule that skips overlapping runs, catches up one interval, and never retries a run', async () => {
    const ran = await schedule(['apply']);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toContain('created: a sync every 1800 s');

    const { spec, policies, action } = await describeAction();
    expect(spec.intervals?.[0]?.every).toBe(1_800_000);
    expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 1_800_000 });
    expect(action).toMatchObject({
      workflowType: 'syncAllAccounts',
      taskQueue: 'allegro-stock-sync',
      args: [{ trigger: 'schedule', intervalSeconds: 1800 }],
      workflowRunTimeout: 1_800_000,
      staticSummary: 'Scheduled sync of all active accounts',
    });
    expect(action.retry).toBeUndefined();
    expect(JSON.stringify(action.typedSearchAttributes)).toContain('"schedule"');
  });

  test('a second time brings it to the new interval, and keeps a pause with its reason', async () => {
    await schedule(['apply']);
    await schedule(['pause', '--reason', 'stocktaking']);
    const ran = await schedule(['apply', '--json'], { ALLEGRO_SYNC_SCHEDULE: '600' });
    expect(stateSchema.parse(ran.json())).toEqual({ isPaused: true, note: 'stocktaking', intervalSeconds: 600 });
    const { action, policies } = await describeAction();
    expect(action.args).toEqual([{ trigger: 'schedule', intervalSeconds: 600 }]);
    expect(policies.catchupWindow).toBe(600_000);
  });

  test('keeps the catch-up window at what Temporal allows when the interval is shorter', async () => {
    await schedule(['apply'], { ALLEGRO_SYNC_SCHEDULE: '10' });
    expect((await describeAction()).policies.catchupWindow).toBe(10_000);
  });

  test('without the search attributes prints the command that registers them, and that command works', async () => {
    const bare = await createNamespace({ isReady: false });
    try {
      const refused = await runClient(bare.env, ['schedule', 'apply']);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain('AccountId, SyncTrigger, SyncOutcome');
      const command = /temporal (operator search-attribute create .*)/.exec(refused.stderr)?.[1];
      await bare.temporal(...(command ?? '').split(' '));
      await until('the search attributes are known', async () => {
        const { status } = await runClient(bare.env, ['schedule', 'apply']);
        return status === 0;
      });
    } finally {
      await bare.close();
    }
  });
});

describe('a Schedule', () => {
  test('is paused and goes on, with the reason', async () => {
    await schedule(['apply']);
    expect(await schedule(['pause', '--reason', 'inventory'])).toMatchObject({ status: 0 });
    expect((await schedule(['describe'])).stdout).toContain('paused: inventory');
    await schedule(['resume']);
    expect(stateSchema.parse((await schedule(['describe', '--json'])).json()).isPaused).toBe(false);
  });

  test('is triggered, and not a second time while that run is at work', async () => {
    await schedule(['apply']);
    expect(await schedule(['trigger'])).toMatchObject({ status: 0 });
    // No worker is there: the run stays at work.
    await until('the run is listed', async () => (await describeAction()).info.runningActions.length === 1);
    const again = await schedule(['trigger']);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain(`a scheduled run is at work (${SYNC_ALL_ACCOUNTS_ID}-`);

    const [running] = (await describeAction()).info.runningActions;
    await temporal.client.workflow.getHandle(running?.workflow.workflowId ?? '').terminate();
    expect(await schedule(['trigger'])).toMatchObject({ status: 0 });
  });

  test('is not triggered while a run over all accounts by hand is at work', async () => {
    await schedule(['apply']);
    const { workflow } = temporal.client;
    const byHand = await workflow.start('syncAllAccounts', { workflowId: SYNC_ALL_ACCOUNTS_ID, taskQueue: TASK_QUEUE });

    const refused = await schedule(['trigger']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain(`a run over all accounts is at work (${SYNC_ALL_ACCOUNTS_ID}, started by hand)`);

    await byHand.terminate();
    expect(await schedule(['trigger'])).toMatchObject({ status: 0 });
  });

  test.each([['describe'], ['trigger'], ['pause'], ['resume'], ['delete']])(
    'that does not exist makes "%s" say so',
    async (command) => {
      const ran = await schedule([command]);
      expect(ran.status).toBe(1);
      expect(ran.stderr).toMatch(/there is no Schedule/);
    },
  );
});
