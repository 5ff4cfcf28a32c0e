import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitUntil } from '../../src/local/wait-until.js';
import type { WorkerProcess } from '../../src/local/application.js';
import { startTcpProxy, type TcpProxy } from '../../chaos/tcp-proxy.js';
import { testTemporalAddress } from '../servers.js';
import { syncReportSchema } from '../e2e/application-under-test.js';
import { startCrashBed, type CrashBed } from './crash-bed.js';
import { workerAt } from './crash-run.js';
import { holdStatement, type DatabasePoint } from './database-hold.js';
import { historyEvents } from './past-events.js';
import { syncAccountId } from '../../src/workflows/api.js';

/**
 * The real worker is stopped (SIGSTOP) between the marking of a change and its request, for longer than its heartbeat
 * time-out; another one sends what the stock says by then. Woken, the first one sends nothing of its own.
 */

const SELLER = '44000001';
/** Shown, in stock when the first worker reads it, and in stock when the other one does. */
const [SHOWN, BEFORE, NOW] = [9, 5, 2];
const REACH_MS = 60_000;

const DECIDE_MS = 30_000;

let bed: CrashBed;
let toTemporal: TcpProxy;

beforeAll(async () => {
  toTemporal = await startTcpProxy({ targetPort: Number(testTemporalAddress().split(':').at(-1)) });
  bed = await startCrashBed(5, { TEMPORAL_ADDRESS: `127.0.0.1:${toTemporal.port}` });
}, 300_000);
afterAll(async () => {
  await toTemporal.setMood('pass');
  await bed.close();
  await toTemporal.stop();
});

const MARKED: DatabasePoint = {
  ...{ table: 'offer_changes', event: 'update', at: 'commit' },
  when: `new.state = 'sending' and old.state = 'planned'`,
};

interface Case {
  readonly title: string;
  readonly activity: 'updateOfferBatch' | 'submitCommand';
  /** As many as go by a command, or one. */
  readonly offers: number;
  /** Whoever finds a mark cannot know whether its number is on its way: the next run has to look. */
  readonly ends: 'pending' | 'lowered';
  /** Lets the stopped worker's surroundings go on, once it stands still. */
  readonly stop: (activity: string, accountId: string) => Promise<WorkerProcess>;
}

async function stopAt(reached: { isReached(): Promise<boolean> }, activity: string, accountId: string) {
  const worker = await workerAt(bed, { armed: reached, shop: { accountId }, activity });
  if (worker === null) throw new Error(`${activity}: never reached`);
  worker.kill('SIGSTOP');
  return worker;
}

const CASES: readonly Case[] = [
  {
    title: 'while its mark is being stored',
    activity: 'updateOfferBatch',
    offers: 1,
    ends: 'pending',
    async stop(activity, accountId) {
      const held = await holdStatement(bed.databaseUrl, MARKED);
      void sync(accountId);
      const worker = await stopAt(held, activity, accountId);
      await held.end('applied');
      await held.close();
      return worker;
    },
  },
  {
    title: 'while it waits for its permit',
    activity: 'updateOfferBatch',
    offers: 1,
    ends: 'pending',
    async stop(activity, accountId) {
      const marking = await holdStatement(bed.databaseUrl, MARKED);
      void sync(accountId);
      await waitUntil(() => marking.isReached(), REACH_MS, 5);
      const permit = bed.redis.hold({ request: /\btake\b/, at: 'answer' });
      await marking.end('applied');
      await marking.close();
      const reached = { isReached: () => Promise.resolve(permit.isReached()) };
      const worker = await stopAt(reached, activity, accountId);
      permit.release();
      return worker;
    },
  },
  {
    title: 'within the transaction that freezes a command',
    activity: 'submitCommand',
    offers: 12,
    ends: 'lowered',
    async stop(activity, accountId) {
      const held = await holdStatement(bed.databaseUrl, { ...MARKED, at: 'row' });
      void sync(accountId);
      const worker = await stopAt(held, activity, accountId);
      await held.end('applied');
      await held.close();
      return worker;
    },
  },
];

let underWay: ReturnType<typeof runSync>;

function sync(accountId: string): ReturnType<typeof runSync> {
  underWay = runSync(accountId);
  return underWay;
}

async function runSync(accountId: string) {
  const { stdout, stderr } = await bed.application.runClient(['sync', '--account', accountId, '--json']);
  if (stdout === '') throw new Error(`the sync did not end: ${stderr}`);
  return syncReportSchema.parse(JSON.parse(stdout)).accounts[0];
}

async function client(args: readonly string[], stdin?: string): Promise<void> {
  const { status, stderr } = await bed.application.runClient(args, stdin === undefined ? {} : { stdin });
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
}

/** The stock, at ours and as the simulator judges by it. */
async function setStock(skus: readonly string[], quantity: number): Promise<void> {
  await bed.application.admin.setTruth({ skus: Object.fromEntries(skus.map((sku) => [sku, quantity])) });
  for (const sku of skus) await client(['stock', 'set', sku, String(quantity)]);
}

describe.each(CASES)('stopped $title', ({ activity, offers, ends, stop, title }) => {
  test('and woken when another worker has sent a lower number, a worker sends nothing', async () => {
    const { admin } = bed.application;
    const accountId = `stopped-${CASES.findIndex((one) => one.title === title)}`;
    const sellerId = String(Number(SELLER) + 100 + CASES.findIndex((one) => one.title === title));
    const skus = Array.from({ length: offers }, (_, index) => `${accountId}-${index}`);
    await admin.resetReport();
    await admin.addOffers(
      skus.map((externalId) => ({ sellerId, externalId, status: 'ACTIVE' as const, available: SHOWN })),
    );
    await setStock(skus, BEFORE);
    const { refreshToken } = await admin.issueTokens({ sellerId, clientId: 'local-client' });
    const account = ['accounts', 'add', accountId, '--name', accountId, '--mode', 'live', '--refresh-token-stdin'];
    await client(account, refreshToken);
    await bed.haveTwoWorkers();

    const stopped = await stop(activity, accountId);
    let since: number;
    try {
      await setStock(skus, NOW);
      const result = await underWay;

      expect(result).toMatchObject({ buckets: { [ends]: offers } });
      const events = await historyEvents(bed.client, syncAccountId(accountId));
      expect(events.flatMap((event) => (event.kind === 'timed_out' ? [event.activity] : []))).toContain(activity);
      expect(await numbers(sellerId)).toEqual(skus.map(() => NOW));
    } finally {
      await stopOthers(stopped);
      since = (await admin.journal({ limit: 0 })).lastRequest;
      // Temporal does not tell it that the activity is another one's: its own clock must.
      if (activity === 'updateOfferBatch') await toTemporal.setMood('hang');
      stopped.kill('SIGCONT');
    }
    const writes = async () => {
      const { entries } = await admin.journal({ since, limit: 100_000 });
      return entries.filter(({ method, sellerId: of }) => of === sellerId && method !== 'GET');
    };
    if (activity === 'updateOfferBatch') {
      const hasDecided = async () => (await droppedWrites(stopped, accountId)) + (await writes()).length > 0;
      expect(await waitUntil(hasDecided, DECIDE_MS)).toBe(true);
      expect(await writes()).toEqual([]);
      await toTemporal.setMood('pass');
    }
    // With a run of its own it shows that it is awake, and that nothing waits in it any more.
    expect(await runSync(accountId)).toMatchObject({ outcome: 'in_sync', buckets: { in_sync: offers } });

    expect(await writes()).toEqual([]);
    expect(await numbers(sellerId)).toEqual(skus.map(() => NOW));
    expect((await admin.report()).harmfulWrites.total).toBe(0);
    expect(await droppedWrites(stopped, accountId)).toBe(activity === 'updateOfferBatch' ? 1 : 0);
  }, 180_000);
});

async function stopOthers(stopped: WorkerProcess): Promise<void> {
  const others = bed.application.workers.filter((worker) => worker !== stopped && !worker.hasEnded());
  await Promise.all(others.map((worker) => worker.stop()));
}

async function numbers(sellerId: string): Promise<number[]> {
  return (await bed.application.admin.offers({ sellerId })).offers.map(({ available }) => available);
}

/** Writes of this account that the worker came to and did not send. */
async function droppedWrites({ logFile }: WorkerProcess, accountId: string): Promise<number> {
  const lines = (await readFile(logFile, 'utf8')).split('\n').filter((line) => line.includes(`"${accountId}"`));
  return lines.filter((line) => line.includes('"operation":"writeOffer"') && !line.includes('"status"')).length;
}
