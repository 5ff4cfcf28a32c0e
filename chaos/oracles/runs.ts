import type { Evidence, RunRow } from '../evidence.js';
import type { OracleVerdict } from './verdict.js';

/** A complete run has seen every offer that the marketplace holds, and each of them lands in exactly one bucket. */
export function judgeRuns(evidence: Evidence): OracleVerdict[] {
  return [judgeSight(evidence), judgeBuckets(evidence)];
}

/** From the creation of an offer until the listing shows it. */
const LISTED_WITHIN_MS = 1_000;

/** `seen` is counted in the application's own table, so it is held against the marketplace's. */
function judgeSight({ runs, before, after }: Evidence): OracleVerdict {
  const complete = runs.filter(isOfEverything);
  const sellers = [...new Set(after.map(({ sellerId }) => sellerId))];
  const left = new Set(after.map(({ id }) => id));
  const countAt = (seller: string | null, time: number): number =>
    after.filter(({ sellerId, createdAt }) => sellerId === seller && createdAt <= time).length;
  return {
    name: 'a complete run has seen every offer there is',
    looked: `${complete.length} complete runs of ${runs.length}; ${after.length} offers`,
    findings: [
      // The number at a time follows from when they were created only if none ever goes.
      ...before.filter(({ id }) => !left.has(id)).map(({ id }) => `offer ${id} is gone`),
      ...sellers
        .filter((seller) => !complete.some(({ sellerId }) => sellerId === seller))
        .map((seller) => `seller ${seller} had no complete run`),
      ...complete.flatMap(({ id, sellerId, seen, startedAt, finishedAt }) => {
        // The marketplace puts sold-out offers up again as new ones, also while a run is at work.
        const least = countAt(sellerId, startedAt.getTime() - LISTED_WITHIN_MS);
        const most = countAt(sellerId, (finishedAt ?? startedAt).getTime());
        if (seen !== null && seen >= least && seen <= most) return [];
        return [`run ${id}: ${seen ?? 'none'} seen; seller ${sellerId ?? 'unknown'} had ${least} to ${most}`];
      }),
    ],
  };
}

function isOfEverything({ isComplete, mode, isOfAllOffers, outcome, finishedAt }: RunRow): boolean {
  return isComplete && mode === 'live' && isOfAllOffers && finishedAt !== null && outcome !== 'superseded';
}

function judgeBuckets({ runs }: Evidence): OracleVerdict {
  const counted = runs.flatMap((run) => (run.buckets === null || run.seen === null ? [] : [{ ...run }]));
  return {
    name: 'buckets add up in every run',
    looked: `${counted.length} runs`,
    findings: [
      ...(counted.length === 0 ? ['no run was closed'] : []),
      ...counted.flatMap(({ id, buckets, seen }) => {
        const sum = Object.values(buckets ?? {}).reduce((total, count) => total + count, 0);
        return sum === seen ? [] : [`run ${id}: ${sum} in buckets, ${seen} seen`];
      }),
    ],
  };
}
