import type { Evidence } from '../evidence.js';
import type { OracleVerdict } from './verdict.js';

/** Every offer seen lands in exactly one bucket, in every run. */
export function judgeBuckets({ runs }: Evidence): OracleVerdict {
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
