/** A scraper and some probes ask a few times a second; more is a mistake or an attack. */
const PER_ADDRESS_AND_SECOND = 30;
const ALL_PER_SECOND = 200;

export interface RequestBound {
  /** Counts the request, and says whether it is answered. */
  allows(address: string): boolean;
}

/** So many requests in each second of the clock, per address and in all; memory is emptied each second. */
export function createRequestBound(now: () => number = Date.now): RequestBound {
  let second = 0;
  let all = 0;
  const byAddress = new Map<string, number>();
  return {
    allows(address) {
      const current = Math.floor(now() / 1000);
      if (current !== second) {
        second = current;
        all = 0;
        byAddress.clear();
      }
      const own = (byAddress.get(address) ?? 0) + 1;
      byAddress.set(address, own);
      all++;
      return own <= PER_ADDRESS_AND_SECOND && all <= ALL_PER_SECOND;
    },
  };
}
