export interface Arrival {
  atMs: number;
  weight: number;
}

/** The exact reference: the largest weight that arrived in any window [t, t + windowMs). */
export function heaviestWindow(arrivals: readonly Arrival[], windowMs: number): number {
  const sorted = arrivals.toSorted((a, b) => a.atMs - b.atMs);
  let heaviest = 0;
  let weight = 0;
  let start = 0;
  for (const { atMs, weight: added } of sorted) {
    weight += added;
    for (let first = sorted[start]; first !== undefined && first.atMs <= atMs - windowMs; first = sorted[start]) {
      weight -= first.weight;
      start += 1;
    }
    heaviest = Math.max(heaviest, weight);
  }
  return heaviest;
}
