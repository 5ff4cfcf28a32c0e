import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AccountId } from '../../src/domain/ids.js';
import {
  ACCOUNT_ID_KEY,
  allAccountsProgressQuery,
  SYNC_OUTCOME_KEY,
  SYNC_TRIGGER_KEY,
  syncAccountId,
} from '../../src/workflows/api.js';
import { readActivities, readOrder, readTimers } from './recorded-events.js';
import { aScript, failure, inTurn, untilCancelled, type Script } from './scripted-activities.js';
import { anAccountId, startWorkflowBed, until, type WorkflowBed } from './workflow-bed.js';

let bed: WorkflowBed;

beforeAll(async () => {
  bed = await startWorkflowBed();
});

afterAll(() => bed.close());

/** An active account whose run follows a script. */
function anAccount(script: Partial<Script> = {}): AccountId {
  const accountId = anAccountId();
  bed.prepare(syncAccountId(accountId), script);
  return accountId;
}

function loading(accountIds: readonly AccountId[]): Pick<Script, 'loadAccounts'> {
  const accounts = accountIds.map((accountId) => ({ accountId, name: `Shop ${accountId}`, mode: 'live' as const }));
  return { loadAccounts: () => Promise.resolve({ accounts }) };
}

const isAtWork = async (accountId: AccountId): Promise<boolean> => {
  const { status } = await bed.client.workflow.getHandle(syncAccountId(accountId)).describe();
  return status.name === 'RUNNING';
};

test.concurrent('without an active account the run succeeds, and says so', async () => {
  const handle = await bed.startAllAccounts({});

  const result = await handle.result();

  expect(result).toMatchObject({ outcome: 'in_sync', accounts: [], note: 'no active account: nothing to sync' });
  expect(await readOrder(handle)).toEqual(['loadAccounts']);
});

test.concurrent(
  'each account is a child of its own: named, abandoned by a parent that ends, found by its attributes',
  async () => {
    const accountIds = [anAccount(), anAccount()];
    const handle = await bed.startAllAccounts(loading(accountIds), { skus: ['A-1'], preview: true });

    const result = await handle.result();

    const { runId } = await handle.describe();
    expect(result).toMatchObject({ runId, outcome: 'in_sync' });
    expect(result.accounts.map(({ accountId, outcome }) => ({ accountId, outcome }))).toEqual(
      accountIds.map((accountId) => ({ accountId, outcome: 'in_sync' })),
    );
    const { events } = await handle.fetchHistory();
    const started = (events ?? []).flatMap((event) => event.startChildWorkflowExecutionInitiatedEventAttributes ?? []);
    expect(started.map(({ workflowId }) => workflowId)).toEqual(accountIds.map(syncAccountId));
    const ABANDON = 2;
    for (const child of started) expect(child).toMatchObject({ parentClosePolicy: ABANDON, retryPolicy: null });
    for (const accountId of accountIds) {
      const child = bed.client.workflow.getHandle(syncAccountId(accountId));
      const { typedSearchAttributes, staticSummary } = await child.describe();
      expect(typedSearchAttributes.get(ACCOUNT_ID_KEY)).toBe(accountId);
      expect(typedSearchAttributes.get(SYNC_TRIGGER_KEY)).toBe('schedule');
      expect(await staticSummary()).toBe(`Shop ${accountId}: preview`);
      const [opening] = await readActivities(child, 'openRun');
      expect(opening?.input).toMatchObject({ groupId: runId, skus: ['A-1'], isPreview: true, trigger: 'schedule' });
    }
  },
);

test.concurrent(
  'a slow account does not delay the next tick: the run returns at 80 % of the interval, the account goes on',
  async () => {
    const fast = anAccount();
    const slow = anAccount({ scanOffers: () => untilCancelled() });
    const handle = await bed.startAllAccounts(loading([fast, slow]), { intervalSeconds: 10 });

    const result = await handle.result();

    const outcomes = new Map(result.accounts.map(({ accountId, outcome }) => [accountId, outcome]));
    expect(outcomes).toEqual(
      new Map([
        [fast, 'in_sync' as const],
        [slow, 'running' as const],
      ]),
    );
    expect(result.outcome).toBe('running');
    expect(await isAtWork(slow)).toBe(true);
    expect(await readTimers(handle)).toMatchObject([{ ms: 8_000, summary: 'latest return' }]);
    expect((await readActivities(handle, 'recordTick'))[0]?.input).toEqual({
      tick: handle.firstExecutionRunId,
      busy: [],
      idle: [fast, slow],
    });

    const next = await bed.startAllAccounts(loading([fast, slow]), { intervalSeconds: 10 });
    const nextResult = await next.result();

    expect(nextResult.accounts.find(({ accountId }) => accountId === slow)).toMatchObject({
      outcome: 'already_running',
    });
    expect((await readActivities(next, 'recordTick'))[0]?.input).toEqual({
      tick: next.firstExecutionRunId,
      busy: [slow],
      idle: [fast],
    });
    expect((await readOrder(next)).slice(-2)).toEqual(['recordTick', 'notify']);
    await bed.client.workflow.getHandle(syncAccountId(slow)).cancel();
  },
);

test.concurrent.each([
  { lateMs: 5_000, waits: { atLeast: 1_000, atMost: 3_000 } },
  // By a whole interval and more: the next tick is as near as after 2 s.
  { lateMs: 12_000, waits: { atLeast: 3_000, atMost: 6_000 } },
  { lateMs: 9_500, waits: { atLeast: 1_000, atMost: 1_000 } },
])('a tick that starts $lateMs ms late returns as early as one in time', async ({ lateMs, waits }) => {
  const slow = anAccount({ scanOffers: () => untilCancelled() });
  const scheduledAt = new Date(Date.now() - lateMs);

  const handle = await bed.startAllAccounts(loading([slow]), { intervalSeconds: 10 }, scheduledAt);

  expect((await handle.result()).outcome).toBe('running');
  const [timer] = await readTimers(handle);
  expect(timer?.ms).toBeGreaterThanOrEqual(waits.atLeast);
  expect(timer?.ms).toBeLessThanOrEqual(waits.atMost);
  await bed.client.workflow.getHandle(syncAccountId(slow)).cancel();
});

test.concurrent('a run that a person asked for waits for the slowest account and records no tick', async () => {
  const accountId = anAccount();
  const handle = await bed.startAllAccounts(loading([accountId]), {
    trigger: 'manual',
    intervalSeconds: 5,
    accountIds: [accountId],
  });

  await handle.result();

  expect(await readTimers(handle)).toMatchObject([{ ms: 6 * 3_600_000 }]);
  expect(await readOrder(handle)).toEqual(['loadAccounts']);
  expect((await readActivities(handle, 'loadAccounts'))[0]?.input).toEqual({ accountIds: [accountId] });
});

test.concurrent('an account whose workflow fails or is terminated fails alone', async () => {
  const failing = anAccount({ closeRun: () => Promise.reject(failure('AccountRefused')) });
  const terminated = anAccount({ scanOffers: () => untilCancelled() });
  const well = anAccount();
  const handle = await bed.startAllAccounts(loading([failing, terminated, well]));
  const child = bed.client.workflow.getHandle(syncAccountId(terminated));
  await until('the child is at work', () => isAtWork(terminated).catch(() => false));

  await child.terminate('by a test');
  const result = await handle.result();

  expect(result.outcome).toBe('failed');
  expect(result.accounts).toMatchObject([
    { accountId: failing, outcome: 'failed', failure: { class: 'AccountRefused' } },
    { accountId: terminated, outcome: 'failed' },
    { accountId: well, outcome: 'in_sync' },
  ]);
});

test.concurrent(
  'the gravest outcome of the accounts is that of the whole, in the result and as a search attribute',
  async () => {
    const paused = anAccount({ openRun: () => Promise.reject(failure('TokenRevoked')) });
    const handle = await bed.startAllAccounts(loading([anAccount(), paused, anAccount()]));

    const result = await handle.result();

    const { typedSearchAttributes } = await handle.describe();
    expect(result.outcome).toBe('paused');
    expect(typedSearchAttributes.get(SYNC_OUTCOME_KEY)).toBe('paused');
    const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain(`| ${paused} | paused | 10 | 0 |`);
  },
);

test.concurrent('cancelling the run cancels its accounts, which end their writes, count and tell', async () => {
  const accountIds = [
    anAccount({ scanOffers: () => untilCancelled() }),
    anAccount({ scanOffers: () => untilCancelled() }),
  ];
  const handle = await bed.startAllAccounts(loading(accountIds));
  for (const accountId of accountIds) {
    await until('the child is at work', () => isAtWork(accountId).catch(() => false));
  }

  await handle.cancel();
  await handle.result().catch(() => undefined);

  expect((await handle.describe()).status.name).toBe('CANCELLED');
  for (const accountId of accountIds) {
    const child = bed.client.workflow.getHandle(syncAccountId(accountId));
    expect(await child.result()).toMatchObject({ outcome: 'stopped' });
    expect((await readOrder(child)).slice(-2)).toEqual(['closeRun', 'notify']);
  }
});

test.concurrent('the progress query tells the outcome of each account', async () => {
  const done = anAccount();
  const atWork = anAccount({ scanOffers: () => untilCancelled() });
  const handle = await bed.startAllAccounts(loading([done, atWork]));

  await until('one account is done', async () => {
    const { accounts } = await handle.query(allAccountsProgressQuery);
    return accounts.some(({ outcome }) => outcome === 'in_sync');
  });
  const { accounts } = await handle.query(allAccountsProgressQuery);
  await handle.cancel();

  expect(accounts).toEqual([
    { accountId: done, outcome: 'in_sync' },
    { accountId: atWork, outcome: 'running' },
  ]);
});

/** As little as a run can be. */
const notOpened: Partial<Script> = {
  openRun: () =>
    Promise.resolve({
      ...{ kind: 'not_opened' as const, outcome: 'paused' as const, accountName: 'Shop', mode: 'live' as const },
      failure: { class: 'AccountPaused', message: 'on holiday' },
    }),
  closeRun: async (input) => ({ ...(await aScript().closeRun(input)), hasMessages: false }),
};

test.concurrent(
  'more accounts than are at work at once all have their run',
  async () => {
    const accountIds = Array.from({ length: 101 }, () => anAccount(notOpened));
    const handle = await bed.startAllAccounts(loading(accountIds));

    const result = await handle.result();

    expect(result.accounts.map(({ accountId }) => accountId)).toEqual(accountIds);
    expect(result.accounts.every(({ outcome }) => outcome === 'paused')).toBe(true);
  },
  60_000,
);

test.concurrent(
  'the list of accounts is waited for while the database is away, not longer than the run may take',
  async () => {
    const back = await bed.startAllAccounts({
      loadAccounts: inTurn(
        () => Promise.reject(failure('DependencyUnavailable')),
        () => Promise.resolve({ accounts: [] }),
      ),
    });
    const away = await bed.startAllAccounts(
      { loadAccounts: () => Promise.reject(failure('DependencyUnavailable')) },
      { intervalSeconds: 5 },
    );

    expect(await back.result()).toMatchObject({ outcome: 'in_sync' });
    await expect(away.result()).rejects.toMatchObject({ cause: { type: 'DeadlineExceeded' } });
  },
);
