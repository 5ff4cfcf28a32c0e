import { JITTER_MS } from './permit-script.js';
import { isCounted, type Quota } from './pace.js';

interface Bucket {
  startedMs: number;
  lastMs: number;
  weight: number;
}

interface Entry {
  quota: Quota;
  buckets: Bucket[];
}

/**
 * What this process was granted of the counted quotas in their last window, by its own monotonic clock: with it the
 * process restores what a lost Redis forgets. Paced quotas need no memory: after a pause their pace alone holds the
 * limit. At most 62 buckets per scope.
 */
export class SpentRecord {
  private readonly entries = new Map<string, Entry>();

  /** @param timeMs when the permits may be used: now or a little later */
  record(quotas: readonly Quota[], timeMs: number): void {
    for (const quota of quotas.filter(isCounted)) {
      const entry = this.entries.get(quota.scope) ?? { quota, buckets: [] };
      this.entries.set(quota.scope, entry);
      const newest = entry.buckets.at(-1);
      if (newest !== undefined && timeMs - newest.startedMs < (quota.windowMs + JITTER_MS) / 60) {
        newest.lastMs = Math.max(newest.lastMs, timeMs);
        newest.weight += quota.weight;
      } else {
        entry.buckets.push({ startedMs: timeMs, lastMs: timeMs, weight: quota.weight });
      }
    }
    this.forget(timeMs);
  }

  /** Permits younger than the given age, per scope: ages in whole µs, as the permit script takes them. */
  youngerThan(ageMs: number, nowMs: number): { quota: Quota; spent: string }[] {
    this.forget(nowMs);
    return [...this.entries.values()].flatMap(({ quota, buckets }) => {
      const lost = buckets.filter((bucket) => nowMs - bucket.lastMs < ageMs);
      const spent = lost.map((bucket) => `${Math.max(0, Math.floor((nowMs - bucket.lastMs) * 1000))}:${bucket.weight}`);
      return spent.length === 0 ? [] : [{ quota, spent: spent.join(',') }];
    });
  }

  private forget(nowMs: number): void {
    for (const [scope, { quota, buckets }] of this.entries) {
      while (nowMs - (buckets[0]?.lastMs ?? nowMs) > quota.windowMs + JITTER_MS) buckets.shift();
      if (buckets.length === 0) this.entries.delete(scope);
    }
  }
}
