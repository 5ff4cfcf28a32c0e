import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { heaviestWindow } from '../../test/integration/rate-limit/arrivals.js';
import type { SenderTask } from './messages.js';
import { startSender, startTarget } from './processes.js';
import type { BenchSettings } from './run.js';

/** How close to the limit our limiter comes, and how evenly. */
export interface Pacing {
  processes: number;
  seconds: number;
  /** Of what the limit allows in the time, %. */
  sharePercent: number;
  maxIn60s: number;
  meanPerSecond: number;
  /** The largest second as the senders wrote their requests, and as the server read them. */
  largestSecondSent: number;
  largestSecondArrived: number;
  /** Of the machine, over the last minute: what else the processors had to do. */
  loadAtStart: number;
  loadAtEnd: number;
}

const BACKLOG = 1_000_000;
/** Of all processes together, ten requests of each at once: there is always somebody who waits for a permit. */
const ACCOUNTS = 16;

/** Accounts with a backlog, in so many processes. */
export async function measurePacing(processes: number, settings: BenchSettings): Promise<Pacing> {
  const [loadAtStart = 0] = loadavg();
  const target = await startTarget(settings.limit);
  const task: SenderTask = { ...settings, limiter: 'ours', clientId: `pacing-${Date.now()}`, target: target.url };
  const senders = await Promise.all(Array.from({ length: processes }, () => startSender(task)));
  try {
    // The pause of a limiter without state is over once something was sent.
    await Promise.all(senders.map((sender) => sender.sendAll('warm-up', 4)));
    for (let n = 0; n < ACCOUNTS; n += 1) {
      void senders[n % processes]?.sendAll(`big-${n}`, BACKLOG).catch(() => undefined);
    }
    const before = target.now();
    const until = before + settings.seconds * 1000;
    await sleep(settings.seconds * 1000);
    const ends = await Promise.all(senders.map((sender) => sender.end()));
    const isWithin = (atMs: number): boolean => atMs >= before && atMs < until;
    const sent = ends.flatMap(({ sentAtMs }) => sentAtMs).filter(isWithin);
    const arrived = (await target.stop()).map(({ atMs }) => atMs).filter(isWithin);
    return {
      processes,
      seconds: settings.seconds,
      sharePercent: Number(((100 * arrived.length) / ((settings.limit / 60) * settings.seconds)).toFixed(1)),
      maxIn60s: largest(arrived, 60_000),
      meanPerSecond: Number((arrived.length / settings.seconds).toFixed(1)),
      largestSecondSent: largest(sent, 1000),
      largestSecondArrived: largest(arrived, 1000),
      loadAtStart,
      loadAtEnd: loadavg()[0] ?? 0,
    };
  } finally {
    for (const { child } of senders) child.kill('SIGKILL');
    target.child.kill('SIGKILL');
  }
}

function largest(times: readonly number[], windowMs: number): number {
  return heaviestWindow(
    times.map((atMs) => ({ atMs, weight: 1 })),
    windowMs,
  );
}

/** The rows as a Markdown table. */
export function pacingTable(rows: readonly Pacing[]): string {
  const head = [
    'processes',
    'share of the allowed rate',
    'max in any 60 s',
    'mean a second',
    'largest second, sent (× mean)',
  ];
  head.push('largest second, arrived (× mean)', 'load of the machine');
  const lines = rows.map((row) => [
    String(row.processes),
    `${row.sharePercent} %`,
    String(row.maxIn60s),
    String(row.meanPerSecond),
    ...[row.largestSecondSent, row.largestSecondArrived].map((n) => `${n} (${(n / row.meanPerSecond).toFixed(2)})`),
    `${row.loadAtStart.toFixed(1)} to ${row.loadAtEnd.toFixed(1)}`,
  ]);
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
