import type { Dealt } from '../dealer.js';
import type { FaultKind } from '../fault.js';
import { RECOVERY_BOUND_MS } from '../recovery.js';
import type { OracleVerdict } from './verdict.js';

/** Every kind of fault was met, and work went on by itself after each. */
export function judgeRecovery(
  dealt: Dealt,
  kinds: readonly FaultKind[],
  unexpectedEnds: readonly string[],
): OracleVerdict[] {
  const hits = countHits(dealt);
  const slowest = Math.max(0, ...dealt.recoveries.map(({ ms }) => ms));
  return [
    {
      name: 'every kind of fault was dealt',
      looked: `${dealt.faults.length} faults of ${kinds.length} kinds`,
      findings: kinds.filter(({ name }) => (hits.get(name) ?? 0) === 0).map(({ name }) => `never met: ${name}`),
    },
    {
      name: `work went on within ${RECOVERY_BOUND_MS / 1000} s of each part's return`,
      looked: `${dealt.recoveries.length} times, ${(slowest / 1000).toFixed(1)} s at most`,
      findings: [...(dealt.recoveries.length === 0 ? ['it was never looked at'] : []), ...dealt.stuck],
    },
    {
      name: 'no worker ended but by our signal',
      looked: `${dealt.faults.filter(({ name }) => name === 'worker: killed').length} killed`,
      findings: unexpectedEnds.map((end) => `ended by itself: ${end}`),
    },
  ];
}

/** By kind, how often something met it. */
export function countHits({ faults }: Dealt): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, hits } of faults) counts.set(name, (counts.get(name) ?? 0) + (hits > 0 ? 1 : 0));
  return counts;
}
