import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod';
import type { Quota } from '../../../src/rate-limit/limiter.js';
import { heaviestWindow, type Arrival } from './arrivals.js';

/** 50 a second by its pace, 200 in a window; two processes that did not share would send 400. */
const quota: Quota = { scope: 'app', limit: 300, windowMs: 4000, weight: 1, maxWeight: 1 };
/** Of each wait: the processes start within seconds where nobody else uses the processors. */
const DEADLINE_MS = 90_000;
jest.setTimeout(4 * DEADLINE_MS);

const SENDER = fileURLToPath(new URL('./sender.ts', import.meta.url));
const reportSchema = z.object({ sent: z.number(), dropped: z.number() });

interface Sender {
  child: ChildProcess;
  /** Lets it come to its end. */
  finish(): Promise<z.infer<typeof reportSchema>>;
}

let server: Server;
let target: string;
let arrivals: Arrival[];
/** Requests by account. */
let arrivedOf: Map<string, number>;
let senders: Sender[];
/** What the server says to a request; 0 = accepted, else how long to wait, s. */
let judge: () => number;

beforeAll(async () => {
  server = createServer((request, response) => {
    arrivals.push({ atMs: performance.now(), weight: 1 });
    const account = (request.url ?? '/').slice(1);
    arrivedOf.set(account, (arrivedOf.get(account) ?? 0) + 1);
    const retryAfter = judge();
    if (retryAfter > 0) response.writeHead(429, { 'retry-after': String(retryAfter) });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  target = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  arrivals = [];
  arrivedOf = new Map();
  senders = [];
  judge = () => 0;
});

afterEach(() => {
  for (const { child } of senders) child.kill('SIGKILL');
});

function startSenders(count: number, clientId: string = randomUUID()): void {
  senders.push(
    ...Array.from({ length: count }, (_, index) => startSender(clientId, { wrongMinutes: (index - 1) * 7 })),
  );
}

function startSender(clientId: string, { wrongMinutes = 0, accounts = ['big'] }): Sender {
  const values = [
    ...[process.env['TEST_REDIS_URL'] ?? '', clientId, target],
    ...[JSON.stringify([quota]), String(wrongMinutes), accounts.join(',')],
  ];
  const child = spawn(process.execPath, ['--import', 'tsx', SENDER, ...values], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise((resolve) => child.once('close', resolve));
  return {
    child,
    async finish() {
      child.stdin.end();
      await exited;
      return reportSchema.parse(JSON.parse(output));
    },
  };
}

async function until(condition: () => boolean, complaint: () => string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(complaint());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function untilArrived(count: number): Promise<void> {
  await until(
    () => arrivals.length >= count,
    () => `only ${arrivals.length} of ${count} requests arrived`,
  );
}

async function finishAll(): Promise<z.infer<typeof reportSchema>[]> {
  return await Promise.all(senders.map((sender) => sender.finish()));
}

describe('several processes with clocks that are minutes apart', () => {
  it('stay within the limit in any window, together', async () => {
    startSenders(2);
    await untilArrived(250);
    const reports = await finishAll();
    expect(reports.filter(({ sent }) => sent > 0)).toHaveLength(2);
    expect(heaviestWindow(arrivals, quota.windowMs)).toBeLessThanOrEqual(quota.limit);
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(arrivals.length);
  });

  it('drop the permits they held while they were stopped', async () => {
    startSenders(4);
    await untilArrived(60);
    const [stopped] = senders;
    stopped?.child.kill('SIGSTOP');
    const before = arrivals.length;
    // More than a permit's life, by the pace at which the others go on.
    await untilArrived(before + 90);
    stopped?.child.kill('SIGCONT');
    await untilArrived(before + 130);
    const [report] = await finishAll();
    expect(report?.dropped).toBeGreaterThan(0);
    expect(heaviestWindow(arrivals, quota.windowMs)).toBeLessThanOrEqual(quota.limit);
  });
});

describe('a server whose limit is lower than we believe, and whose blocks grow with each request sent into them', () => {
  it('is not sent into the block, and answers in the end', async () => {
    const accepted: Arrival[] = [];
    const sentIntoBlock: number[] = [];
    let blockedUntilMs = 0;
    judge = () => {
      const now = performance.now();
      if (now < blockedUntilMs) {
        blockedUntilMs = now + 1000;
        sentIntoBlock[sentIntoBlock.length - 1] = (sentIntoBlock.at(-1) ?? 0) + 1;
        return 1;
      }
      if (accepted.filter(({ atMs }) => atMs > now - 2000).length >= 85) {
        blockedUntilMs = now + 1000;
        sentIntoBlock.push(0);
        return 1;
      }
      accepted.push({ atMs: now, weight: 1 });
      return 0;
    };
    startSenders(2);
    await until(
      () => accepted.length >= 200,
      () => `only ${accepted.length} requests were accepted`,
    );
    await finishAll();
    expect(sentIntoBlock.length).toBeGreaterThan(0);
    // In each process: permits whose time has come, and one request on its way.
    expect(Math.max(...sentIntoBlock)).toBeLessThanOrEqual(2 * 5);
  });
});
