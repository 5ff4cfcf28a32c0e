import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type pg from 'pg';

import type { Application } from '../../src/local/application.js';
import { SYNC_ALL_ACCOUNTS, SYNC_ALL_ACCOUNTS_ID } from '../../src/workflows/api.js';
import type { openShops } from './shops.js';
import { judgeTicks, type TickBounds, type TickRun, type TickVerdict } from './ticks.js';
import type { Trouble, TroubleReport } from './troubles.js';

export interface IsolationOptions {
  readonly application: Application;
  readonly client: Client;
  readonly database: pg.Pool;
  readonly shops: Awaited<ReturnType<typeof openShops>>;
  /** One for each large shop. */
  readonly troubles: readonly Trouble[];
  readonly ticks: number;
  readonly bounds: TickBounds;
}

export interface IsolationOutcome {
  readonly small: TickVerdict;
  readonly troubled: readonly TroubleReport[];
  /** The small ones were not delayed, by troubles that did happen. */
  readonly holds: boolean;
}

/** What is done before a tick, a login among it, takes less than this. */
const BEFORE_TICK_MS = 3_000;
/** At work by then. */
const IN_TICK_MS = 2_000;

/** Lets the Schedule tick so many times while the large shops are in trouble, and judges the small ones. */
export async function runIsolation(options: IsolationOptions): Promise<IsolationOutcome> {
  const { application, database, shops, ticks, bounds } = options;
  const { intervalMs } = bounds;
  const troubled = options.troubles.flatMap((trouble, index) => {
    const account = shops.large[index];
    return account === undefined ? [] : [{ trouble, at: { application, database, account } }];
  });
  for (const { trouble, at } of troubled) await trouble.begin?.(at);

  // The Schedule ticks at whole multiples of its interval since 1970. The first tick after it was made is judged too.
  const first = Math.ceil((Date.now() + 2 * BEFORE_TICK_MS) / intervalMs) * intervalMs;
  await sleepUntil(first - Math.min(2 * BEFORE_TICK_MS, intervalMs));
  await command(application, ['schedule', 'apply']);
  const nominalTimes = Array.from({ length: ticks }, (_, index) => first + index * intervalMs);
  for (const nominalAt of nominalTimes) {
    await sleepUntil(nominalAt - BEFORE_TICK_MS);
    await shops.changeStock();
    await Promise.all(troubled.map(async ({ trouble, at }) => trouble.beforeTick?.(at)));
    await sleepUntil(nominalAt + IN_TICK_MS);
    await Promise.all(troubled.map(async ({ trouble, at }) => trouble.inTick?.(at)));
  }
  const end = first + ticks * intervalMs;
  await sleepUntil(end - 1);
  // Before another tick changes it.
  await command(application, ['schedule', 'delete']);
  const reports = await Promise.all(troubled.map(({ trouble, at }) => trouble.report(at, (end - first) / 1000)));
  const accountIds = shops.small.map(({ accountId }) => accountId);
  const small = judgeTicks(await readRuns(options), { nominalTimes, accountIds }, bounds);
  return { small, troubled: reports, holds: small.holds && reports.every(({ happened }) => happened) };
}

async function readRuns({ client, database }: IsolationOptions): Promise<TickRun[]> {
  /** The Schedule appends the nominal time to the id of what it starts. */
  const nominal = new Map<string, number>();
  for await (const { workflowId, runId } of client.workflow.list({ query: `WorkflowType = '${SYNC_ALL_ACCOUNTS}'` })) {
    nominal.set(runId, Date.parse(workflowId.slice(`${SYNC_ALL_ACCOUNTS_ID}-`.length)));
  }
  const { rows } = await database.query<{
    accountId: string;
    groupId: string;
    startedAt: Date;
    finishedAt: Date | null;
    isInSync: boolean;
  }>(
    `select account_id as "accountId", group_id as "groupId", started_at as "startedAt", finished_at as "finishedAt",
      is_complete and outcome = 'in_sync' as "isInSync" from sync_runs`,
  );
  return rows.map(({ accountId, groupId, startedAt, finishedAt, isInSync }) => ({
    accountId,
    nominalAt: nominal.get(groupId) ?? NaN,
    startedAt: startedAt.getTime(),
    finishedAt: finishedAt?.getTime() ?? null,
    isInSync,
  }));
}

async function command({ runClient }: Application, args: readonly string[]): Promise<void> {
  const { status, stderr } = await runClient(args);
  if (status !== 0) throw new Error(`"${args.join(' ')}" ended with exit status ${status}: ${stderr}`);
}

async function sleepUntil(time: number): Promise<void> {
  await sleep(Math.max(0, time - Date.now()));
}
