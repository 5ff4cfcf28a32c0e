import type { JournalEntry } from '../../simulator/journal.js';
import type { ChangeRow, CommandRow, Evidence } from '../evidence.js';
import type { DealtFault } from '../fault.js';
import type { HeardWrite } from '../overheard.js';
import type { OracleVerdict } from './verdict.js';

/** Between a row's time and that of its request, both of one clock; and from a request to a cut of its answer. */
const TOLERANCE_MS = 1_000;
/** Told of the account, not of the offer: asked again with another token, or later. */
const USES_UP_NOTHING = [401, 429];
/** Between the proxy and the marketplace; a repetition comes a second later. */
const SAME_WRITE_MS = 250;
const BULK_PATH = '/sale/offer-bulk-modification-commands';
const PARTS_PATH = /^\/sale\/product-offers\/[^/]+\/parts$/;

/**
 * Each attempt that did not succeed has an answer of Allegro's that was no success, or a write that was lost on the way.
 * What befell worker, database, Redis or Temporal uses up none.
 */
export function judgeAttempts(evidence: Evidence, faults: readonly DealtFault[]): OracleVerdict {
  const lossy = faults.filter(({ name }) => name.startsWith('allegro: network'));
  const bad = timesOfBadAnswers(evidence, lossy);
  const lost = timesOfLostWrites(evidence, lossy);
  const failed = evidence.changes
    .map((change) => ({ change, attempts: failedAttempts(change) }))
    .filter(({ attempts }) => attempts > 0)
    .map((one) => ({ ...one, answers: countDuring(bad, one.change), losses: countDuring(lost, one.change) }));
  const withLosses = failed.filter(({ losses }) => losses > 0).length;
  return {
    name: 'no attempt used up by what was not an answer of Allegro',
    looked: [
      `${evidence.changes.length} changes, ${failed.length} with failed attempts`,
      `${failed.length - withLosses} judged by answers alone, ${withLosses} by writes that may be lost too, 0 exempted`,
    ].join(': '),
    findings: failed
      .filter(({ attempts, answers, losses }) => attempts > answers + losses)
      .map(({ change, attempts, answers, losses }) => {
        const why = `${change.errorClass ?? 'no class'}: ${change.errorMessage ?? 'no message'}`;
        const counted = `${answers} answers were bad, ${losses} writes may be lost`;
        return `offer ${change.offerId}, run ${change.runId}: ${attempts} attempts failed, ${counted} (${why})`;
      }),
  };
}

/** The class is that of the last answer: none is left by one that told of success, whatever became of the row since. */
function failedAttempts({ state, attempts, errorClass }: ChangeRow): number {
  const hasSucceeded = state === 'confirmed' || errorClass === null;
  return hasSucceeded ? Math.max(0, attempts - 1) : attempts;
}

/** By offer, in ms since 1970. */
type Times = ReadonlyMap<string, readonly number[]>;

function countDuring(times: Times, { offerId, plannedAt, settledAt }: ChangeRow): number {
  const from = plannedAt.getTime() - TOLERANCE_MS;
  const until = (settledAt?.getTime() ?? Date.now()) + TOLERANCE_MS;
  return (times.get(offerId) ?? []).filter((at) => at >= from && at <= until).length;
}

/** A command that was not carried out is known to the marketplace by its id alone. */
function timesOfBadAnswers(evidence: Evidence, lossy: readonly DealtFault[]): Times {
  const ofCommand = offersByCommand(evidence.commands);
  return collect([
    ...evidence.journal
      .filter((entry) => isBad(entry) || isLeftUnanswered(entry, lossy))
      .flatMap(({ at, offerIds, path }) =>
        (offerIds.length > 0 ? offerIds : (ofCommand.get(lastPart(path)) ?? [])).map((offerId) => ({ at, offerId })),
      ),
    ...evidence.overheard.failedTasks,
  ]);
}

/** What is read in vain by a connection that breaks is read again, and uses up nothing; a write may have arrived. */
function isBad({ method, path, status, fault }: JournalEntry): boolean {
  if (USES_UP_NOTHING.includes(status)) return false;
  if (status < 200) return method !== 'GET';
  // Asked only where a write was answered as done with another number than the one sent.
  if (method === 'GET' && PARTS_PATH.test(path)) return true;
  return status >= 400 || fault === 'truncate';
}

function isLeftUnanswered({ method, at, durationMs }: JournalEntry, lossy: readonly DealtFault[]): boolean {
  return method !== 'GET' && lossy.some(({ from }) => at < from && at + durationMs >= from - TOLERANCE_MS);
}

/** Counted where they set out: one that was cut on its way is not in the marketplace's journal. */
function timesOfLostWrites({ overheard, commands, journal }: Evidence, lossy: readonly DealtFault[]): Times {
  const counted = journal.filter((entry) => entry.method !== 'GET' && (isBad(entry) || isLeftUnanswered(entry, lossy)));
  const isCounted = (write: HeardWrite): boolean =>
    counted.some(({ path, at }) => path === write.path && Math.abs(at - write.at) < SAME_WRITE_MS);
  const ofCommand = offersByCommand(commands);
  const inBulk = [...new Set(commands.filter(({ kind }) => kind === 'bulk').flatMap(({ offerIds }) => offerIds))];
  return collect(
    overheard.writes
      .filter((write) => isFaulty(write.at, lossy) && !isCounted(write))
      .flatMap(({ at, path }) => {
        const last = lastPart(path);
        const offerIds = path === BULK_PATH ? inBulk : (ofCommand.get(last) ?? [last]);
        return offerIds.map((offerId) => ({ at, offerId }));
      }),
  );
}

function isFaulty(at: number, lossy: readonly DealtFault[]): boolean {
  return lossy.some(({ from, until }) => at >= from - TOLERANCE_MS && at <= until + TOLERANCE_MS);
}

function offersByCommand(commands: readonly CommandRow[]): Map<string, readonly string[]> {
  return new Map(commands.map(({ id, offerIds }) => [id, offerIds]));
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function collect(events: readonly { at: number; offerId: string }[]): Times {
  const times = new Map<string, number[]>();
  for (const { at, offerId } of events) {
    const known = times.get(offerId);
    if (known === undefined) times.set(offerId, [at]);
    else known.push(at);
  }
  return times;
}
