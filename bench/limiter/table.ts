import { heaviestWindow } from '../../test/integration/rate-limit/arrivals.js';
import type { BenchRun } from './run.js';

export interface Row {
  limiter: string;
  maxIn60s: number;
  /** Accepted requests of those the limit allows in the time, %. */
  sharePercent: number;
  answers429: number;
  largestSecond: number;
  slowestSmallS: number | null;
  aloneS: number;
  roundTripsPerRequest: number | null;
  /** CPU of the four senders, s per 1000 requests. */
  cpuPer1000: number;
}

export function summarise(run: BenchRun, limit: number): Row {
  const weights = run.arrivals.map(({ atMs }) => ({ atMs, weight: 1 }));
  const accepted = run.arrivals.filter(({ isRefused }) => !isRefused).length;
  const smallMs = run.smallMs.map((ms) => ms ?? Infinity);
  const slowestMs = Math.max(...smallMs);
  return {
    limiter: run.limiter,
    maxIn60s: heaviestWindow(weights, 60_000),
    sharePercent: round((100 * accepted) / ((limit / 60) * run.seconds), 1),
    answers429: run.arrivals.length - accepted,
    largestSecond: heaviestWindow(weights, 1000),
    slowestSmallS: Number.isFinite(slowestMs) ? round(slowestMs / 1000, 1) : null,
    aloneS: round(run.aloneMs / 1000, 1),
    roundTripsPerRequest: run.roundTrips === null ? null : round(run.roundTrips / run.sent, 2),
    cpuPer1000: round(run.cpuMs / run.sent, 2),
  };
}

const HEAD = [
  'limiter',
  'max in any 60 s',
  'share of the allowed rate',
  '429s',
  'largest second',
  'slowest of nine small accounts (without the big one)',
  'round trips per request',
  'CPU s per 1000 requests',
];

/** The rows as a Markdown table. */
export function toMarkdown(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.limiter,
    String(row.maxIn60s),
    `${row.sharePercent} %`,
    String(row.answers429),
    String(row.largestSecond),
    `${row.slowestSmallS === null ? 'not through' : `${row.slowestSmallS} s`} (${row.aloneS} s)`,
    row.roundTripsPerRequest === null ? '–' : String(row.roundTripsPerRequest),
    String(row.cpuPer1000),
  ]);
  return [HEAD, HEAD.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
