import { BUCKETS } from '../domain/buckets.js';
import type { AccountResult, SyncAllAccountsResult } from './api.js';

/** A run's result in Markdown, for the details of the workflow in the Web UI. */
export function describeResult(result: AccountResult): string {
  const rows = BUCKETS.filter((bucket) => result.buckets[bucket] > 0).map(
    (bucket) => `| ${bucket} | ${result.buckets[bucket]} |${reasonsOf(result, bucket)} |`,
  );
  return [
    `**${result.accountName}** (${result.mode}): **${result.outcome}**`,
    '',
    `${result.seen} offers seen${result.isComplete ? '' : ' (incomplete)'}, ${result.requests} requests`,
    ...(result.failure === null ? [] : ['', `${result.failure.class}: ${result.failure.message}`]),
    '',
    '| bucket | offers | reasons |',
    '|---|---|---|',
    ...rows,
  ].join('\n');
}

function reasonsOf(result: AccountResult, bucket: string): string {
  if (bucket !== 'skipped' && bucket !== 'failed' && bucket !== 'held') return ' ';
  const reasons = Object.entries(result[bucket]).map(([reason, count]) => `${reason} ${count}`);
  return ` ${reasons.join(', ')}`;
}

/** One line per account. */
export function describeAccounts(result: SyncAllAccountsResult): string {
  if (result.accounts.length === 0) return result.note ?? 'no account';
  const rows = result.accounts.map(
    (account) => `| ${account.accountName} | ${account.outcome} | ${account.seen} | ${changedOf(account)} |`,
  );
  return ['| account | outcome | seen | corrected |', '|---|---|---|---|', ...rows].join('\n');
}

function changedOf({ buckets }: AccountResult): number {
  return buckets.ended + buckets.lowered + buckets.reactivated + buckets.raised;
}
