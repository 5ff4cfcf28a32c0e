/** What the ticks of the Schedule came to, for accounts that must not notice what befalls another one. Pure. */

/** A scheduled run of one account; times in ms since 1970. */
export interface TickRun {
  readonly accountId: string;
  /** The time at which the Schedule should have started it. */
  readonly nominalAt: number;
  readonly startedAt: number;
  /** null: still at work. */
  readonly finishedAt: number | null;
  /** The whole shop was seen, and every difference was corrected. */
  readonly isInSync: boolean;
}

export interface TickBounds {
  readonly intervalMs: number;
  /** From the nominal time to the start. */
  readonly startsWithinMs: number;
  readonly strictlyWithinMs: number;
}

export interface TickVerdict {
  /** Ticks × accounts. */
  readonly expected: number;
  readonly startedInTime: number;
  /** Of those, within the stricter bound, on which nothing depends. */
  readonly startedStrictly: number;
  /** In sync before the next tick. */
  readonly completedInTime: number;
  /** No run at all. */
  readonly missing: number;
  /** Of the runs that there were. */
  readonly largestDelayMs: number;
  readonly medianDelayMs: number;
  readonly largestDelayByTickMs: readonly number[];
  readonly holds: boolean;
}

const LEAST_SHARE = 0.95;

/** A tick without a run counts as late: so does one that the Schedule skipped. */
export function judgeTicks(
  runs: readonly TickRun[],
  wanted: { readonly nominalTimes: readonly number[]; readonly accountIds: readonly string[] },
  { intervalMs, startsWithinMs, strictlyWithinMs }: TickBounds,
): TickVerdict {
  const expected = wanted.nominalTimes.length * wanted.accountIds.length;
  const found = wanted.nominalTimes.flatMap((nominalAt) =>
    wanted.accountIds.flatMap(
      (accountId) => runs.find((run) => run.accountId === accountId && run.nominalAt === nominalAt) ?? [],
    ),
  );
  const delayOf = ({ startedAt, nominalAt }: TickRun): number => startedAt - nominalAt;
  const delays = found.map(delayOf).sort((a, b) => a - b);
  const countWithin = (ms: number): number => delays.filter((delay) => delay <= ms).length;
  const startedInTime = countWithin(startsWithinMs);
  const completedInTime = found.filter(
    ({ finishedAt, nominalAt, isInSync }) => isInSync && finishedAt !== null && finishedAt < nominalAt + intervalMs,
  ).length;
  return {
    expected,
    startedInTime,
    startedStrictly: countWithin(strictlyWithinMs),
    completedInTime,
    missing: expected - found.length,
    largestDelayMs: delays.at(-1) ?? 0,
    medianDelayMs: delays[Math.floor(delays.length / 2)] ?? 0,
    largestDelayByTickMs: wanted.nominalTimes.map((nominalAt) =>
      Math.max(0, ...found.filter((run) => run.nominalAt === nominalAt).map(delayOf)),
    ),
    holds: expected > 0 && Math.min(startedInTime, completedInTime) >= LEAST_SHARE * expected,
  };
}
