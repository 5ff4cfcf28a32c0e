import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Activities, MarketplaceActivities } from '../../src/activities/index.js';
import { toAccountId, type AccountId } from '../../src/domain/ids.js';
import {
  ACCOUNT_ID_KEY,
  HOUSEKEEPING,
  MARKETPLACE_TASK_QUEUE,
  SYNC_ACCOUNT,
  SYNC_ALL_ACCOUNTS,
  SYNC_ALL_ACCOUNTS_ID,
  SCHEDULED_START_KEY,
  SYNC_TRIGGER_KEY,
  syncAccountId,
  TASK_QUEUE,
  type AccountResult,
  type SyncAccountInput,
  type SyncAllAccountsInput,
  type SyncAllAccountsResult,
} from '../../src/workflows/api.js';
import { createNamespace } from '../integration/cli/temporal-namespace.js';
import { testWorkflowBundle } from '../servers.js';
import { aScript, type Script } from './scripted-activities.js';

type SyncAccount = (input: SyncAccountInput) => Promise<AccountResult>;
type SyncAllAccounts = (input: SyncAllAccountsInput) => Promise<SyncAllAccountsResult>;
type Housekeeping = () => Promise<unknown>;
export type AccountRun = WorkflowHandleWithFirstExecutionRunId<SyncAccount>;
export type AllAccountsRun = WorkflowHandleWithFirstExecutionRunId<SyncAllAccounts>;

/** The workflows of the prebuilt bundle on a real server, in a namespace of the test file's own, with scripted activities. */
export interface WorkflowBed {
  readonly client: Client;
  /** The script of a workflow that is started by another one. */
  prepare(workflowId: string, script: Partial<Script>): void;
  startAccount(
    script: Partial<Script>,
    input?: Partial<SyncAccountInput>,
  ): Promise<{ handle: AccountRun; accountId: AccountId }>;
  /** `scheduledAt`: when the Schedule meant it to start. */
  startAllAccounts(
    script: Partial<Script>,
    input?: Partial<SyncAllAccountsInput>,
    scheduledAt?: Date,
  ): Promise<AllAccountsRun>;
  startHousekeeping(script: Partial<Script>): Promise<WorkflowHandleWithFirstExecutionRunId<Housekeeping>>;
  close(): Promise<void>;
}

/** A server with a namespace in which the search attributes are registered. */
export interface TemporalPlace {
  readonly address: string;
  readonly namespace: string;
  readonly client: Client;
  close(): Promise<void>;
}

export async function startWorkflowBed(place?: TemporalPlace): Promise<WorkflowBed> {
  // What workers say of failures that tests provoke would bury what jest says.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  const server = place ?? (await createNamespace());
  const { address, namespace, client } = server;
  const connection = await NativeConnection.connect({ address });
  const scripts = new Map<string, Script>();
  const workers = await createWorkers({ connection, namespace }, scripts);
  const running = Promise.all(workers.map((worker) => worker.run()));
  const prepare = (workflowId: string, script: Partial<Script>): void => {
    scripts.set(workflowId, aScript(script));
  };

  return {
    client,
    prepare,
    async startAccount(script, input = {}) {
      const accountId = input.accountId ?? anAccountId();
      const workflowId = syncAccountId(accountId);
      prepare(workflowId, script);
      const handle = await client.workflow.start<SyncAccount>(SYNC_ACCOUNT, {
        taskQueue: TASK_QUEUE,
        workflowId,
        args: [{ accountId, trigger: 'manual', ...input }],
        typedSearchAttributes: [
          { key: ACCOUNT_ID_KEY, value: accountId },
          { key: SYNC_TRIGGER_KEY, value: 'manual' },
        ],
      });
      return { handle, accountId };
    },
    async startAllAccounts(script, input = {}, scheduledAt) {
      const workflowId = `${SYNC_ALL_ACCOUNTS_ID}-${randomUUID()}`;
      prepare(workflowId, script);
      return client.workflow.start<SyncAllAccounts>(SYNC_ALL_ACCOUNTS, {
        taskQueue: TASK_QUEUE,
        workflowId,
        args: [{ trigger: 'schedule', intervalSeconds: 600, ...input }],
        ...(scheduledAt === undefined
          ? {}
          : { typedSearchAttributes: [{ key: SCHEDULED_START_KEY, value: scheduledAt }] }),
      });
    },
    async startHousekeeping(script) {
      const workflowId = `housekeeping-${randomUUID()}`;
      prepare(workflowId, script);
      return client.workflow.start<Housekeeping>(HOUSEKEEPING, { taskQueue: TASK_QUEUE, workflowId });
    },
    async close() {
      workers.forEach((worker) => worker.shutdown());
      await running;
      await connection.close();
      await server.close();
      await Runtime.instance().shutdown();
    },
  };
}

async function createWorkers(
  place: { connection: NativeConnection; namespace: string },
  scripts: ReadonlyMap<string, Script>,
): Promise<Worker[]> {
  const scriptOfCall = (): Script => {
    const { workflowExecution } = Context.current().info;
    const script = scripts.get(workflowExecution?.workflowId ?? '');
    if (script === undefined) throw new Error(`workflow ${workflowExecution?.workflowId ?? ''} has no script`);
    return script;
  };
  return Promise.all([
    Worker.create({
      ...place,
      taskQueue: TASK_QUEUE,
      workflowBundle: { codePath: testWorkflowBundle() },
      activities: activitiesOf(scriptOfCall),
      maxHeartbeatThrottleInterval: '100 ms',
    }),
    Worker.create({
      ...place,
      taskQueue: MARKETPLACE_TASK_QUEUE,
      activities: marketplaceActivitiesOf(scriptOfCall),
      maxHeartbeatThrottleInterval: '100 ms',
    }),
  ]);
}

function activitiesOf(script: () => Script): Activities {
  return {
    loadAccounts: (input) => script().loadAccounts(input),
    recordTick: (input) => script().recordTick(input),
    awaitRateLimit: (input) => script().awaitRateLimit(input),
    checkGuards: (input) => script().checkGuards(input),
    planWrites: (input) => script().planWrites(input),
    rejectOffer: (input) => script().rejectOffer(input),
    giveUpCommand: (input) => script().giveUpCommand(input),
    closeRun: (input) => script().closeRun(input),
    notify: (input) => script().notify(input),
    housekeep: (input) => script().housekeep(input),
  };
}

function marketplaceActivitiesOf(script: () => Script): MarketplaceActivities {
  return {
    openRun: (input) => script().openRun(input),
    scanOffers: (input) => script().scanOffers(input),
    confirmSales: (input) => script().confirmSales(input),
    submitCommand: (input) => script().submitCommand(input),
    checkCommands: (input) => script().checkCommands(input),
    updateOfferBatch: (input) => script().updateOfferBatch(input),
    updateOfferStock: (input) => script().updateOfferStock(input),
  };
}

export function anAccountId(): AccountId {
  return toAccountId(`shop-${randomUUID().slice(0, 8)}`);
}

/** Waits for a condition; fails after the deadline with what it waited for. */
export async function until(what: string, isMet: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await isMet())) {
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await sleep(50);
  }
}
