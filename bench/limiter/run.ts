import { setTimeout as sleep } from 'node:timers/promises';
import type { LimiterName, SenderTask, TargetReport } from './messages.js';
import { startSender, startTarget } from './processes.js';

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
      sent: sum(ends.map(({ sentAtMs }) => sentAtMs.length)),
      roundTrips: counts.includes(null) ? null : sum(counts.map(Number)),
      cpuMs: sum(ends.map(({ cpuMs }) => cpuMs)),
    };
  } finally {
    for (const { child } of senders) child.kill('SIGKILL');
    target.child.kill('SIGKILL');
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
