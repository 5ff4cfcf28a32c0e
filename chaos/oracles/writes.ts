import type { HarmfulWrite } from '../../simulator/report.js';
import type { Evidence } from '../evidence.js';
import type { DealtFault } from '../fault.js';
import { ALL_ZERO } from '../faults-of-the-surroundings.js';
import type { OracleVerdict } from './verdict.js';

export interface WriteBounds {
  /** Requests in any 60 s. */
  readonly rateLimit: number;
  /** Endings that the guard lets through when a feed says 0 for everything, in one run of one account. */
  readonly allowedEndings: number;
  /** For how long what was true before excuses a write. */
  readonly graceMs: number;
  readonly accounts: number;
}

/** From a write to the noting of its outcome, the same clock twice. */
const CLOSED_WITHIN_MS = 1_000;

/** No write did harm, and none was one too many. */
export function judgeWrites(
  { report, journal, changes, after }: Evidence,
  faults: readonly DealtFault[],
  bounds: WriteBounds,
): OracleVerdict[] {
  const zeroFeeds = faults.filter(({ name }) => name === ALL_ZERO);
  const sentAt = new Map(journal.map(({ n, at }) => [n, at]));
  // A feed that says 0 is believed as far as the guard allows: more than that was not held back.
  const isBelieved = (write: HarmfulWrite): boolean => {
    const at = sentAt.get(write.n) ?? 0;
    const isEnding = write.kinds.every((kind) => kind === 'ended_with_stock');
    return isEnding && zeroFeeds.some(({ from, until }) => at >= from && at <= until + bounds.graceMs);
  };
  // Somebody has ended it while the run was at work: it got a number, and stays ended.
  const isMeanwhile = (write: HarmfulWrite): boolean => {
    const at = sentAt.get(write.n) ?? 0;
    const endedAt = after.find(({ id }) => id === write.offerId)?.endedAt ?? 0;
    const isOnlyNumber = write.reason === 'ended_by_user' && write.kinds.every((kind) => kind === 'never_touch');
    return (
      isOnlyNumber &&
      changes.some(
        ({ offerId, plannedAt, settledAt }) =>
          offerId === write.offerId &&
          plannedAt.getTime() < endedAt &&
          (settledAt === null || settledAt.getTime() > at - CLOSED_WITHIN_MS),
      )
    );
  };
  const { samples, total } = report.harmfulWrites;
  const meanwhile = samples.filter(isMeanwhile).length;
  const believed = samples.filter(isBelieved).length;
  const mostBelieved = zeroFeeds.length * bounds.allowedEndings * bounds.accounts;
  const highest = Math.max(0, ...Object.values(report.clients).map(({ maxIn60s }) => maxIn60s));
  const mistakes = Object.entries(report.clientMistakes).map(([kind, { count, samples: first }]) => {
    return `${kind}: ${count}, such as ${first[0] ?? 'none'}`;
  });
  return [
    {
      name: 'harmful writes: 0',
      looked: [
        `${report.requests} requests`,
        ...(believed > 0 ? [`${believed} endings asked for by a wrong feed`] : []),
        ...(meanwhile > 0 ? [`${meanwhile} numbers for offers that somebody ended while the run was at work`] : []),
      ].join('; '),
      findings: [
        ...samples.filter((write) => !isBelieved(write) && !isMeanwhile(write)).map(describeHarm),
        ...(total > samples.length ? [`${total - samples.length} more than are kept`] : []),
        ...(believed > mostBelieved
          ? [`${believed} endings by a feed that said 0 for everything; ${mostBelieved} are allowed`]
          : []),
      ],
    },
    {
      name: `requests in any 60 s: at most ${bounds.rateLimit}`,
      looked: `${highest} at most`,
      findings: highest > bounds.rateLimit ? [`${highest} requests in 60 s`] : [],
    },
    { name: 'no request is malformed', looked: `${report.requests} requests`, findings: mistakes },
  ];
}

function describeHarm({ n, route, offerId, kinds, available, truth, reason }: HarmfulWrite): string {
  const why = reason === null ? '' : ` (${reason})`;
  return `request ${n}: ${route} for ${offerId}: ${kinds.join(', ')}${why}; sent ${available}, true ${truth}`;
}
