import type { Evidence, RunRow } from '../evidence.js';
import type { OracleVerdict } from './verdict.js';

/** A complete run has seen every offer that the marketplace holds, and each of them lands in exactly one bucket. */
export function judgeRuns(evidence: Evidence): OracleVerdict[] {
  return [judgeSight(evidence), judgeBuckets(evidence)];
}

/** `seen` is counted in the application's own table, so it is held against the marketplace's. */
function judgeSight({ runs, before, after }: Evidence): OracleVerdict {
  const held = countBySeller(after);
  // None is added or removed in chaos; were it so, no number would fit all runs.
  const isSame = [...held].every(([sellerId, count]) => countBySeller(before).get(sellerId) === count);
  const complete = runs.filter(isOfEverything);
  return {
    name: 'a complete run has seen every offer there is',
    looked: `${complete.length} complete runs of ${runs.length}; ${[...held.values()].join(', ')} offers`,
    findings: [
      ...(isSame ? [] : ['the number of offers has changed']),
      ...[...held.keys()]
        .filter((sellerId) => !complete.some((run) => run.sellerId === sellerId))
        .map((sellerId) => `seller ${sellerId} had no complete run`),
      ...complete.flatMap(({ id, sellerId, seen }) => {
        const count = held.get(sellerId ?? '') ?? 0;
        return seen === count
          ? []
          : [`run ${id}: ${seen ?? 'none'} seen, seller ${sellerId ?? 'unknown'} has ${count}`];
      }),
    ],
  };
}

function isOfEverything({ isComplete, mode, isOfAllOffers, outcome, finishedAt }: RunRow): boolean {
  return isComplete && mode === 'live' && isOfAllOffers && finishedAt !== null && outcome !== 'superseded';
}

function countBySeller(offers: Evidence['after']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { sellerId } of offers) counts.set(sellerId, (counts.get(sellerId) ?? 0) + 1);
  return counts;
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
