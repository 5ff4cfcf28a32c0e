export const JOURNAL_PHASES = ['received', 'applied', 'answered'] as const;
/** `received`: read in full; `applied`: its effect took place (later than the answer for what is processed later); `answered`: sent, or cut. */
export type JournalPhase = (typeof JOURNAL_PHASES)[number];

/** One request. `n` counts requests, the numbers in `phases` count phases of all requests: both from 1, rising. */
export interface JournalEntry {
  readonly n: number;
  readonly at: number;
  readonly method: string;
  /** The template, such as `/sale/product-offers/{offerId}`. */
  readonly route: string;
  readonly path: string;
  sellerId: string | null;
  clientId: string | null;
  offerIds: readonly string[];
  /** Stock numbers written, in the order of `offerIds`, or one for all of them. */
  values: readonly number[];
  /** 0 until answered; -1 when the connection was cut. */
  status: number;
  userAgentOk: boolean;
  /** Which fault was planted into it. */
  fault: string | null;
  durationMs: number;
  readonly phases: { received: number; applied: number; answered: number };
}

export interface PhaseQuery {
  readonly phase: JournalPhase;
  /** A phase number: only later ones count. */
  readonly after: number;
  readonly route?: string | undefined;
  readonly method?: string | undefined;
  readonly sellerId?: string | undefined;
}

interface Waiter extends PhaseQuery {
  readonly resolve: (entry: JournalEntry) => void;
}

const MOST_ENTRIES = 200_000;

/** What was received, in order; the oldest entries are dropped beyond 200,000. */
export class Journal {
  #entries: JournalEntry[] = [];
  #requests = 0;
  #phases = 0;
  readonly #waiters = new Set<Waiter>();

  /** The number of the latest phase: what `after` may start from. */
  get lastPhase(): number {
    return this.#phases;
  }

  get lastRequest(): number {
    return this.#requests;
  }

  open(fields: Pick<JournalEntry, 'at' | 'method' | 'route' | 'path' | 'userAgentOk'>): JournalEntry {
    this.#requests += 1;
    const entry: JournalEntry = {
      n: this.#requests,
      at: fields.at,
      method: fields.method,
      route: fields.route,
      path: fields.path,
      sellerId: null,
      clientId: null,
      offerIds: [],
      values: [],
      status: 0,
      userAgentOk: fields.userAgentOk,
      fault: null,
      durationMs: 0,
      phases: { received: 0, applied: 0, answered: 0 },
    };
    this.#entries.push(entry);
    if (this.#entries.length > MOST_ENTRIES * 1.25) this.#entries = this.#entries.slice(-MOST_ENTRIES);
    return entry;
  }

  /** Notes that a request has reached a phase; only the first time counts. */
  mark(entry: JournalEntry, phase: JournalPhase): void {
    if (entry.phases[phase] > 0) return;
    this.#phases += 1;
    entry.phases[phase] = this.#phases;
    for (const waiter of this.#waiters) {
      if (!answers(entry, waiter)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(entry);
    }
  }

  /** Entries with `n` above `since`, oldest first. */
  read(since: number, limit: number): readonly JournalEntry[] {
    const first = this.#entries[0];
    if (!first) return [];
    const start = Math.max(0, since + 1 - first.n);
    return this.#entries.slice(start, start + limit);
  }

  latest(limit: number): readonly JournalEntry[] {
    return this.#entries.slice(-limit);
  }

  /** The first request to reach the phase later than `after`, or undefined after `timeoutMs`. */
  async wait(query: PhaseQuery, timeoutMs: number): Promise<JournalEntry | undefined> {
    const known = this.#earliest(query);
    if (known) return known;
    return await new Promise((resolve) => {
      const waiter: Waiter = {
        ...query,
        resolve: (entry) => {
          clearTimeout(timer);
          resolve(entry);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        resolve(undefined);
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  clear(): void {
    this.#entries = [];
  }

  #earliest(query: PhaseQuery): JournalEntry | undefined {
    let earliest: JournalEntry | undefined;
    for (const entry of this.#entries) {
      if (!answers(entry, query)) continue;
      if (!earliest || entry.phases[query.phase] < earliest.phases[query.phase]) earliest = entry;
    }
    return earliest;
  }
}

function answers(entry: JournalEntry, query: PhaseQuery): boolean {
  if (entry.phases[query.phase] <= query.after) return false;
  if (query.sellerId !== undefined && query.sellerId !== entry.sellerId) return false;
  if (query.method !== undefined && query.method !== entry.method) return false;
  return query.route === undefined || namesRoute(query.route, entry);
}

/** Whether `route` names the entry's: `/me` or `GET /me`. */
export function namesRoute(route: string, entry: Pick<JournalEntry, 'method' | 'route'>): boolean {
  return route === entry.route || route === `${entry.method} ${entry.route}`;
}
