/** Counts the marketplace requests of each run in this process, until an activity writes them to the run's row. */
export interface RequestCounter {
  count(runId: string): void;
  /** Requests since the last call for this run. */
  take(runId: string): number;
}

export function createRequestCounter(): RequestCounter {
  const counts = new Map<string, number>();
  return {
    count: (runId) => void counts.set(runId, (counts.get(runId) ?? 0) + 1),
    take: (runId) => {
      const count = counts.get(runId) ?? 0;
      counts.delete(runId);
      return count;
    },
  };
}
