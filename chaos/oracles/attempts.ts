import type { ChangeRow, Evidence } from '../evidence.js';
import type { DealtFault } from '../fault.js';
import type { OracleVerdict } from './verdict.js';

/** Between the row's time and that of a request; and from a fault to the request that notices it. */
const TOLERANCE_MS = 31_000;

/**
 * Each attempt that did not succeed has an answer of Allegro's that was no success, or one that was lost on the way.
 * What befell worker, database, Redis or Temporal uses up none.
 */
export function judgeAttempts(evidence: Evidence, faults: readonly DealtFault[]): OracleVerdict {
  const badAnswers = countBadAnswers(evidence);
  const lossy = faults.filter(({ name }) => name.startsWith('allegro: network'));
  const failed = evidence.changes
    .map((change) => ({ change, attempts: failedAttempts(change) }))
    .filter(({ attempts }) => attempts > 0);
  const findings = failed.flatMap(({ change, attempts }) => {
    const from = change.plannedAt.getTime();
    const until = (change.settledAt?.getTime() ?? Date.now()) + TOLERANCE_MS;
    const isOverlapped = lossy.some((fault) => fault.from < until && fault.until + TOLERANCE_MS > from);
    const answers = (badAnswers.get(change.offerId) ?? []).filter((at) => at >= from - TOLERANCE_MS && at <= until);
    if (isOverlapped || attempts <= answers.length) return [];
    const why = `${change.errorClass ?? 'no class'}: ${change.errorMessage ?? 'no message'}`;
    return [`offer ${change.offerId}: ${attempts} attempts failed, ${answers.length} answers were bad (${why})`];
  });
  return {
    name: 'no attempt used up by what was not an answer of Allegro',
    looked: `${evidence.changes.length} changes, ${failed.length} with failed attempts`,
    findings,
  };
}

/** A write that overtook a command was answered as done, and stays unknown until the command has settled. */
function failedAttempts({ state, attempts, errorClass }: ChangeRow): number {
  const hasSucceeded = state === 'confirmed' || (state === 'unknown' && errorClass === null);
  return hasSucceeded ? Math.max(0, attempts - 1) : attempts;
}

/** Times of answers that were no success, by offer. */
function countBadAnswers({ journal }: Evidence): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const entry of journal) {
    const isBad = entry.status < 200 || entry.status >= 400 || entry.fault !== null;
    if (!isBad) continue;
    for (const offerId of entry.offerIds) times.set(offerId, [...(times.get(offerId) ?? []), entry.at]);
  }
  return times;
}
