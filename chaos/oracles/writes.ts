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

/** No write did harm, and none was one too many. */
export function judgeWrites(
  { report, journal }: Evidence,
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
  const { samples, total } = report.harmfulWrites;
  const believed = samples.filter(isBelieved).length;
  const mostBelieved = zeroFeeds.length * bounds.allowedEndings * bounds.accounts;
  const highest = Math.max(0, ...Object.values(report.clients).map(({ maxIn60s }) => maxIn60s));
  const mistakes = Object.entries(report.clientMistakes).map(([kind, { count, samples: first }]) => {
    return `${kind}: ${count}, such as ${first[0] ?? 'none'}`;
  });
  return [
    {
      name: 'harmful writes: 0',
      looked: `${report.requests} requests${believed > 0 ? `; ${believed} endings asked for by a wrong feed` : ''}`,
      findings: [
        ...samples.filter((write) => !isBelieved(write)).map(describeHarm),
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
