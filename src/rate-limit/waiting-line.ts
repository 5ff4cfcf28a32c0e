/** What a request is for: within an account danger goes first, and ad hoc syncs go before scheduled ones. */
export type Priority = 'danger' | 'adhoc' | 'scheduled';

export interface InLine {
  readonly priority: Priority;
  /** Who is served: the account. */
  readonly party: string;
}

const RANK: Record<Priority, number> = { danger: 0, adhoc: 1, scheduled: 2 };

/** Above this many recent permits two accounts count as equal, so that a newcomer is ahead for a second or two only. */
const REMEMBERED_PERMITS = 200;
const HALF_LIFE_MS = 10_000;

/** Every fourth permit goes by service alone, so that a long ad hoc sync cannot starve the scheduled ones. */
const URGENT_IN_A_ROW = 3;

interface Service {
  permits: number;
  atMs: number;
}

/**
 * Who of a process is asked for next. Danger and ad hoc before scheduled, but three times in a row at most; among
 * those the account that was served least of late; within the account by priority, then by age.
 */
export class WaitingLine<T extends InLine> {
  private readonly waiting = new Set<T>();
  private readonly waitingOf = new Map<string, number>();
  private readonly service = new Map<string, Service>();
  private urgentInARow = 0;

  get size(): number {
    return this.waiting.size;
  }

  /** Accounts that wait. */
  get parties(): number {
    return this.waitingOf.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.waiting[Symbol.iterator]();
  }

  add(entry: T): void {
    this.waiting.add(entry);
    this.waitingOf.set(entry.party, (this.waitingOf.get(entry.party) ?? 0) + 1);
  }

  remove(entry: T): void {
    if (!this.waiting.delete(entry)) return;
    const left = (this.waitingOf.get(entry.party) ?? 0) - 1;
    if (left > 0) this.waitingOf.set(entry.party, left);
    else this.waitingOf.delete(entry.party);
  }

  /** Takes the next one out of the line that `mayGo`, or undefined, and counts it as served. */
  next(nowMs: number, mayGo: (entry: T) => boolean): T | undefined {
    const served = new Map<string, number>();
    let best: T | undefined;
    for (const entry of this.waiting) {
      if (!mayGo(entry)) continue;
      if (!served.has(entry.party)) served.set(entry.party, this.servedLately(entry.party, nowMs));
      if (best === undefined || this.isBefore(entry, best, served)) best = entry;
    }
    if (best === undefined) return undefined;
    this.remove(best);
    this.recordServed(best.party, nowMs);
    this.urgentInARow = isUrgent(best) && this.urgentInARow < URGENT_IN_A_ROW ? this.urgentInARow + 1 : 0;
    return best;
  }

  /** 1: a permit more; -1: what `next` has counted came to nothing. */
  recordServed(party: string, nowMs: number, more: 1 | -1 = 1): void {
    const permits = Math.max(0, Math.min(REMEMBERED_PERMITS, this.servedLately(party, nowMs) + more));
    this.service.delete(party);
    this.service.set(party, { permits, atMs: nowMs });
    for (const [oldest, { atMs }] of this.service) {
      if (nowMs - atMs < 10 * HALF_LIFE_MS) break;
      this.service.delete(oldest);
    }
  }

  private isBefore(entry: T, best: T, served: ReadonlyMap<string, number>): boolean {
    const urgent = Number(isUrgent(best)) - Number(isUrgent(entry));
    if (urgent !== 0 && (entry.party === best.party || this.urgentInARow < URGENT_IN_A_ROW)) return urgent < 0;
    const service = (served.get(entry.party) ?? 0) - (served.get(best.party) ?? 0);
    if (entry.party !== best.party && service !== 0) return service < 0;
    return RANK[entry.priority] < RANK[best.priority];
  }

  private servedLately(party: string, nowMs: number): number {
    const service = this.service.get(party);
    if (service === undefined) return 0;
    return service.permits * 0.5 ** ((nowMs - service.atMs) / HALF_LIFE_MS);
  }
}

function isUrgent(entry: InLine): boolean {
  return entry.priority !== 'scheduled';
}
