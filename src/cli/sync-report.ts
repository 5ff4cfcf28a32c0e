import { BUCKETS } from '../domain/buckets.js';
import { SYNC_OUTCOMES, type AccountResult, type SyncOutcome } from '../workflows/api.js';
import type { ExitStatus } from './failures.js';
import type { Colors, Output } from './output.js';

/** What `sync --json` prints. */
export interface SyncReport {
  /** The run over all accounts; `changes --run` takes it. */
  readonly runId: string;
  /** The worst of the accounts' outcomes. */
  readonly outcome: SyncOutcome;
  readonly accounts: readonly AccountResult[];
  readonly note?: string;
}

/** From the best to the worst. */
const BY_BADNESS: readonly SyncOutcome[] = [
  'in_sync',
  'superseded',
  'already_running',
  'running',
  'problems',
  'stopped',
  'paused',
  'failed',
];

export function worstOutcome(outcomes: readonly SyncOutcome[]): SyncOutcome {
  return outcomes.reduce<SyncOutcome>(
    (worst, next) => (BY_BADNESS.indexOf(next) > BY_BADNESS.indexOf(worst) ? next : worst),
    'in_sync',
  );
}

/** 0 only when every account is in sync and nothing failed, is held or is pending. */
export function exitStatusOf(report: Pick<SyncReport, 'outcome' | 'accounts'>): ExitStatus {
  const isWell = report.accounts.every(
    ({ outcome, buckets }) => outcome === 'in_sync' && buckets.failed + buckets.held + buckets.pending === 0,
  );
  return isWell && report.outcome === 'in_sync' ? 0 : 1;
}

/** More columns do not fit a terminal of 100 characters. */
const ACCOUNTS_PER_TABLE = 4;

export function showSyncReport(report: SyncReport, output: Output): void {
  output.json(report);
  for (let start = 0; start < report.accounts.length; start += ACCOUNTS_PER_TABLE) {
    const accounts = report.accounts.slice(start, start + ACCOUNTS_PER_TABLE);
    output.table(['', ...accounts.map(({ accountId }) => accountId)], reportRows(accounts, output.colors));
  }
  for (const account of report.accounts) for (const line of accountRemarks(account)) output.print(line);
  if (report.note !== undefined) output.print(report.note);
  output.print(`Run ${report.runId}: ${colorOutcome(report.outcome, output.colors)}`);
}

/** One column for each account: outcome, offers seen, and every bucket, which add up to them. */
export function reportRows(accounts: readonly AccountResult[], colors: Colors): string[][] {
  const row = (name: string, value: (account: AccountResult) => string): string[] => [name, ...accounts.map(value)];
  return [
    row('name', ({ accountName }) => accountName),
    row('outcome', ({ outcome }) => colorOutcome(outcome, colors)),
    row('mode', ({ mode }) => mode),
    row('seen', ({ seen, isComplete }) => (isComplete ? String(seen) : `${seen} (not all)`)),
    ...BUCKETS.map((bucket) => row(bucket, ({ buckets }) => colorCount(bucket, buckets[bucket], colors))),
    row('requests', ({ requests }) => String(requests)),
    row('batches', ({ batches }) => String(batches)),
  ];
}

/** What a person should look at, one line each. */
export function accountRemarks({ accountId, runId, failure, failed, held, skipped, buckets }: AccountResult): string[] {
  const run = runId ?? 'RUN';
  return [
    ...(failure === null ? [] : [`${accountId}: ${failure.class}: ${failure.message}`]),
    ...(buckets.failed === 0
      ? []
      : [`${accountId}: failed: ${describeCounts(failed)} (changes --run ${run} --bucket failed)`]),
    ...(buckets.held === 0 ? [] : [`${accountId}: held: ${describeCounts(held)} (changes --run ${run} --bucket held)`]),
    ...((held['guard'] ?? 0) === 0
      ? []
      : [`${accountId}: to let the guarded ones through: accounts approve ${accountId} --run ${run}`]),
    ...(buckets.skipped === 0 ? [] : [`${accountId}: skipped: ${describeCounts(skipped)}`]),
  ];
}

export function describeCounts(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).sort(([, one], [, other]) => other - one);
  return sorted.map(([reason, count]) => `${reason} ${count}`).join(', ') || 'no reason told';
}

export function colorOutcome(outcome: string, colors: Colors): string {
  if (outcome === 'in_sync') return colors.green(outcome);
  return SYNC_OUTCOMES.some((known) => known === outcome && ['failed', 'paused', 'stopped'].includes(known))
    ? colors.red(outcome)
    : colors.yellow(outcome);
}

function colorCount(bucket: string, count: number, colors: Colors): string {
  if (count === 0) return colors.dim('0');
  if (bucket === 'failed') return colors.red(String(count));
  return bucket === 'held' || bucket === 'pending' ? colors.yellow(String(count)) : String(count);
}
