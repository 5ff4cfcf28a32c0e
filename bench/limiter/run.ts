import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  newsSchema,
  targetNewsSchema,
  targetReportSchema,
  type LimiterName,
  type News,
  type Order,
  type SenderTask,
  type TargetReport,
} from './messages.js';

export interface BenchSettings {
  redisUrl: string;
  temporalAddress: string;
  limit: number;
  seconds: number;
}

/** What one limiter did: everything that arrived since the backlog began, and how the accounts fared. */
export interface BenchRun {
  limiter: LimiterName;
  seconds: number;
  arrivals: TargetReport['arrivals'];
  /** The slowest of the small accounts while there was no big one. */
  aloneMs: number;
  /** Null: not through by the end. */
  smallMs: (number | null)[];
  sent: number;
  roundTrips: number | null;
  cpuMs: number;
}

const SENDERS = 4;
const SMALL_ACCOUNTS = 9;
const SMALL_REQUESTS = 100;
const BIG_REQUESTS = 200_000;

/** The same load for every limiter: one account with a backlog in four processes, nine small ones that come later. */
export async function runLimiter(limiter: LimiterName, settings: BenchSettings): Promise<BenchRun> {
  const target = await startTarget(settings.limit);
  const clientId = `bench-${limiter}-${Date.now()}`;
  const task: SenderTask = { ...settings, limiter, clientId, target: target.url };
  const senders = await Promise.all(Array.from({ length: SENDERS }, () => startSender(task)));
  try {
    const [first] = senders;
    if (first === undefined) throw new Error('no sender');
    await first.sendAll('warm-up', 4);
    const sendSmall = (name: string): Promise<number>[] =>
      Array.from({ length: SMALL_ACCOUNTS }, (_none, index) =>
        (senders[index % SENDERS] ?? first).sendAll(`${name}-${index}`, SMALL_REQUESTS),
      );
    const aloneMs = Math.max(...(await Promise.all(sendSmall('alone'))));
    const before = target.now();
    const abandoned = senders.map((sender) => sender.sendAll('big', BIG_REQUESTS / SENDERS));
    abandoned.forEach((work) => void work.catch(() => undefined));
    await sleep((settings.seconds / 3) * 1000);
    const smallMs: (number | null)[] = Array.from({ length: SMALL_ACCOUNTS }, () => null);
    sendSmall('small').forEach((done, index) => {
      done.then((ms) => (smallMs[index] = ms)).catch(() => undefined);
    });
    await sleep((settings.seconds * 2 * 1000) / 3);
    const ends = await Promise.all(senders.map((sender) => sender.end()));
    const arrivals = (await target.stop()).filter(({ atMs }) => atMs >= before);
    const counts = ends.map(({ roundTrips }) => roundTrips);
    return {
      limiter,
      seconds: settings.seconds,
      arrivals,
      aloneMs,
      smallMs,
      sent: sum(ends.map(({ sent }) => sent)),
      roundTrips: counts.includes(null) ? null : sum(counts.map(Number)),
      cpuMs: sum(ends.map(({ cpuMs }) => cpuMs)),
    };
  } finally {
    for (const { child } of senders) child.kill('SIGKILL');
    target.child.kill('SIGKILL');
  }
}

interface Target {
  child: ChildProcess;
  url: string;
  /** Now, as the target tells the time of arrivals, ms. */
  now(): number;
  stop(): Promise<TargetReport['arrivals']>;
}

async function startTarget(limit: number): Promise<Target> {
  const child = spawn(process.execPath, ['--import', 'tsx', pathOf('./target.ts'), String(limit)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const started = targetNewsSchema.parse(JSON.parse(await nextLine(lines)));
  return {
    child,
    url: `http://127.0.0.1:${started.port}`,
    now: () => performance.timeOrigin + performance.now(),
    async stop() {
      child.stdin.end();
      return targetReportSchema.parse(JSON.parse(await nextLine(lines))).arrivals;
    },
  };
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const line = await lines.next();
  if (line.done === true) throw new Error('the target server has ended');
  return line.value;
}

interface Sender {
  child: ChildProcess;
  /** How long it took, ms. */
  sendAll(account: string, requests: number): Promise<number>;
  end(): Promise<Extract<News, { kind: 'ended' }>>;
}

async function startSender(task: SenderTask): Promise<Sender> {
  const child = fork(pathOf('./sender.ts'), [JSON.stringify(task)], { execArgv: ['--import', 'tsx'] });
  const through = new Map<string, (ms: number) => void>();
  let ended: (news: Extract<News, { kind: 'ended' }>) => void = () => undefined;
  const give = (order: Order): void => void child.send(order);
  const ready = once(child, 'message');
  child.on('message', (message) => {
    const news = newsSchema.parse(message);
    if (news.kind === 'through') through.get(news.account)?.(news.ms);
    if (news.kind === 'ended') ended(news);
  });
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`a sender ended with exit status ${code ?? 'none'}`)));
  });
  failed.catch(() => undefined);
  await Promise.race([ready, failed]);
  return {
    child,
    sendAll(account, requests) {
      const done = new Promise<number>((resolve) => through.set(account, resolve));
      give({ kind: 'send', account, requests });
      return Promise.race([done, failed]);
    },
    end() {
      const report = new Promise<Extract<News, { kind: 'ended' }>>((resolve) => (ended = resolve));
      give({ kind: 'end' });
      return Promise.race([report, failed]);
    },
  };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
