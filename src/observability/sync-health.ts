/** When an account was last seen whole; times are null for never. */
export interface AccountFreshness {
  readonly accountId: string;
  readonly mode: 'preview' | 'live';
  readonly isPaused: boolean;
  readonly lastCompleteAt: Date | null;
  readonly liveSince: Date | null;
}

export interface AccountHealth {
  readonly accountId: string;
  /**
   * - `fresh`: a complete run within two intervals, or live for less than that.
   * - `stale`: nobody knows whether its offers are right.
   * - `paused`: not expected to run; that was told when it was paused.
   * - `preview`: nothing is written for it.
   */
  readonly state: 'fresh' | 'stale' | 'paused' | 'preview';
  readonly lastCompleteAt: string | null;
  /** Since the last complete run, or since the account went live; null when it never did either. */
  readonly ageSeconds: number | null;
}

/** Silence is a fault too: an account is stale when it had no complete run within this many intervals. */
export const INTERVALS_UNTIL_STALE = 2;

/** What `GET /health/sync`, `status` and the incident of silence say about each account. */
export function judgeSyncHealth(
  accounts: readonly AccountFreshness[],
  { now, intervalSeconds }: { now: Date; intervalSeconds: number },
): AccountHealth[] {
  return accounts.map((account) => {
    const { accountId, lastCompleteAt, liveSince } = account;
    const times = [lastCompleteAt, liveSince].flatMap((time) => (time === null ? [] : [time.getTime()]));
    const ageSeconds = times.length === 0 ? null : Math.max(0, (now.getTime() - Math.max(...times)) / 1000);
    const isOld = ageSeconds === null || ageSeconds > INTERVALS_UNTIL_STALE * intervalSeconds;
    return {
      accountId,
      state: expectedState(account) ?? (isOld ? 'stale' : 'fresh'),
      lastCompleteAt: lastCompleteAt?.toISOString() ?? null,
      ageSeconds: ageSeconds === null ? null : Math.round(ageSeconds),
    };
  });
}

function expectedState(account: AccountFreshness): 'paused' | 'preview' | null {
  if (account.isPaused) return 'paused';
  return account.mode === 'preview' ? 'preview' : null;
}
