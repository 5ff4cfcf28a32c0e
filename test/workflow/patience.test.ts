import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Context } from '@temporalio/activity';
import { accountProgressQuery } from '../../src/workflows/api.js';
import { readActivities, readOrder, readTimers } from './recorded-events.js';
import { aPage, aPhase, aScript, failure, inTurn, plansOnce, type Script } from './scripted-activities.js';
import { startWorkflowBed, until, type WorkflowBed } from './workflow-bed.js';

/** What is nobody's answer is waited for in the workflow: durably, and without using up an attempt. */

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

test.concurrent('while a part is away the workflow waits 1 s, doubling to 10 s, and asks anew each time', async () => {
  const { handle } = await bed.startAccount({ scanOffers: () => Promise.reject(failure('DependencyUnavailable')) });

  await until('the pause has reached its longest', async () => (await readTimers(handle)).length >= 6, 60_000);
  await handle.cancel();
  await handle.result();

  const scans = await readActivities(handle, 'scanOffers');
  const timers = await readTimers(handle);
  expect(timers.slice(0, 6).map(({ ms }) => ms)).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  expect(timers[0]?.summary).toBe('scanOffers: DependencyUnavailable in a test');
  for (const scan of scans) expect(scan).toMatchObject({ attempts: 1, failure: 'DependencyUnavailable' });
});

test.concurrent.each(['openRun', 'checkGuards', 'planWrites', 'closeRun'] as const)(
  '%s is asked again when the database comes back, and the run ends as if nothing had been',
  async (name) => {
    const well = aScript();
    const { handle } = await bed.startAccount(withFirstFailure(well, name));

    const result = await handle.result();

    expect(result.outcome).toBe('in_sync');
    expect(await readActivities(handle, name)).toMatchObject([
      { attempts: 1, end: 'failed', failure: 'DependencyUnavailable' },
      { attempts: 1, end: 'completed' },
    ]);
    expect(await readTimers(handle)).toMatchObject([{ ms: 1000 }]);
  },
);

function withFirstFailure(well: Script, name: 'openRun' | 'checkGuards' | 'planWrites' | 'closeRun'): Partial<Script> {
  const away = (): Promise<never> => Promise.reject(failure('DependencyUnavailable'));
  switch (name) {
    case 'openRun':
      return { openRun: inTurn(away, well.openRun) };
    case 'checkGuards':
      return { checkGuards: inTurn(away, well.checkGuards) };
    case 'planWrites':
      return { planWrites: inTurn(away, well.planWrites) };
    case 'closeRun':
      return { closeRun: inTurn(away, well.closeRun) };
  }
}

test.concurrent('without a permit the run sleeps until its time, and no attempt is used up', async () => {
  const { handle } = await bed.startAccount({
    scanOffers: inTurn(() => Promise.reject(failure('RateLimited', { retryInMs: 3_000 })), aPage()),
  });

  const result = await handle.result();

  expect(result.outcome).toBe('in_sync');
  expect(await readActivities(handle, 'scanOffers')).toMatchObject([
    { attempts: 1, failure: 'RateLimited' },
    { attempts: 1, end: 'completed' },
  ]);
  expect(await readTimers(handle)).toMatchObject([
    { ms: 3_000, summary: 'waiting for a permit: RateLimited in a test' },
  ]);
});

const NO_PERMIT = { ms: 3_000, why: 'no permit of "app" yet.' };

test.concurrent(
  'what an activity had done before the permits ran out is kept: the run sleeps and goes on',
  async () => {
    const { handle } = await bed.startAccount({
      scanOffers: inTurn(aPage({ cursor: { position: 2000 }, seen: 2100, wait: NO_PERMIT }), aPage({ seen: 7 })),
      planWrites: plansOnce([aPhase({ batches: [1] })]),
      updateOfferBatch: inTurn(
        () => Promise.resolve({ retry: [], settled: 20, wait: NO_PERMIT }),
        () => Promise.resolve({ retry: [], settled: 30 }),
      ),
    });

    await handle.result();

    const scans = await readActivities(handle, 'scanOffers');
    expect(scans).toMatchObject([{ attempts: 1 }, { attempts: 1, input: { cursor: { position: 2000 } } }]);
    expect(await readActivities(handle, 'updateOfferBatch')).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
    expect(await handle.query(accountProgressQuery)).toMatchObject({ seen: 2107, settled: 50, waitingUntil: null });
    const timer = { ms: 3_000, summary: 'waiting for a permit: no permit of "app" yet.' };
    expect(await readTimers(handle)).toMatchObject([timer, timer]);
  },
);

test.concurrent('a last look at commands that had to wait for a permit is made again', async () => {
  const { handle } = await bed.startAccount({
    checkCommands: inTurn(
      () => Promise.resolve({ open: 1, retry: [], wait: NO_PERMIT }),
      () => Promise.resolve({ open: 0, retry: [] }),
    ),
  });

  await handle.result();

  expect(await readActivities(handle, 'checkCommands')).toHaveLength(2);
  expect(await readTimers(handle)).toMatchObject([{ ms: 3_000 }]);
});

test.concurrent(
  'a worker that is heard of no more is lost after 10 s: the scan comes back at once and is asked for anew',
  async () => {
    const { handle } = await bed.startAccount({
      scanOffers: inTurn(async () => Context.current().cancelled, aPage()),
    });

    const result = await handle.result();

    expect(result.outcome).toBe('in_sync');
    expect(await readActivities(handle, 'scanOffers')).toMatchObject([
      { attempts: 1, end: 'timed_out', failure: 'HEARTBEAT' },
      { attempts: 1, end: 'completed' },
    ]);
    expect(await readTimers(handle)).toMatchObject([{ ms: 1000, summary: 'scanOffers: worker lost, trying again' }]);
  },
);

test.concurrent('a worker that is lost after a part was away is not waited for as long as the part was', async () => {
  const away = (): Promise<never> => Promise.reject(failure('DependencyUnavailable'));
  const { handle } = await bed.startAccount({
    scanOffers: inTurn(away, away, away, async () => Context.current().cancelled, aPage()),
  });

  await handle.result();

  expect((await readTimers(handle)).map(({ ms }) => ms)).toEqual([1000, 2000, 4000, 1000]);
});

test.concurrent('after its deadline a run asks for nothing more: it is counted and told', async () => {
  const { handle } = await bed.startAccount({}, { deadlineAt: new Date(Date.now() - 1000).toISOString() });

  const result = await handle.result();

  expect(result).toMatchObject({ outcome: 'failed', failure: { class: 'DeadlineExceeded' } });
  expect(await readOrder(handle)).toEqual(['closeRun', 'notify']);
});

test.concurrent(
  'a deadline that comes while a part is away fails the run, which is still counted and told',
  async () => {
    const { handle } = await bed.startAccount(
      { scanOffers: () => Promise.reject(failure('DependencyUnavailable')) },
      { deadlineAt: new Date(Date.now() + 6_000).toISOString() },
    );

    const result = await handle.result();

    expect(result).toMatchObject({ outcome: 'failed', failure: { class: 'DeadlineExceeded' } });
    expect((await readOrder(handle)).slice(-2)).toEqual(['closeRun', 'notify']);
  },
);

test.concurrent('a wait that would outlast the deadline is not begun', async () => {
  const { handle } = await bed.startAccount(
    { awaitRateLimit: () => Promise.resolve({ waitMs: 600_000, scope: 'client' }) },
    { deadlineAt: new Date(Date.now() + 300_000).toISOString() },
  );

  const result = await handle.result();

  expect(result.failure?.class).toBe('DeadlineExceeded');
  expect(await readTimers(handle)).toEqual([]);
});

test.concurrent('housekeeping waits for the database and tells what it deleted', async () => {
  const handle = await bed.startHousekeeping({
    housekeep: inTurn(
      () => Promise.reject(failure('DependencyUnavailable')),
      () => Promise.resolve({ runs: 3, incidents: 2, messages: 1 }),
    ),
  });

  const result = await handle.result();

  expect(result).toEqual({ runs: 3, incidents: 2, messages: 1 });
  expect(await readActivities(handle, 'housekeep')).toMatchObject([
    { attempts: 1, end: 'failed', summary: 'delete old history' },
    { attempts: 1, end: 'completed' },
  ]);
  expect(await readTimers(handle)).toMatchObject([{ ms: 1000 }]);
});
