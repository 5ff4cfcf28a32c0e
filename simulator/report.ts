import type { JournalEntry } from './journal.js';
import type { HarmKind } from './judge.js';
import type { ClientReport, ResourceReport } from './limits.js';

/** A harmful write, with what was known when it arrived. `n` is the journal's number of the request. */
export interface HarmfulWrite {
  readonly n: number;
  readonly route: string;
  readonly sellerId: string;
  readonly offerId: string;
  readonly sku: string | null;
  readonly kinds: readonly HarmKind[];
  /** For `never_touch`: why. */
  readonly reason: string | null;
  readonly available: number | null;
  readonly truth: number | null;
}

export interface Tally {
  readonly count: number;
  /** The first hundred. */
  readonly samples: readonly string[];
}

export interface SimulatorReport {
  readonly requests: number;
  readonly requestsByRoute: Record<string, number>;
  /** By route, then by status; `cut` where no answer was completed. */
  readonly statusesByRoute: Record<string, Record<string, number>>;
  readonly clients: Record<string, ClientReport>;
  readonly sellerLimits: Record<string, ResourceReport>;
  readonly clientMistakes: Record<string, Tally>;
  readonly redundantWrites: Tally;
  readonly harmfulWrites: {
    /** Writes that did harm; one write may be of several kinds. */
    readonly total: number;
    readonly byKind: Partial<Record<HarmKind, number>>;
    /** The first thousand. */
    readonly samples: readonly HarmfulWrite[];
  };
  /** Changes of offers that took effect: by kind. */
  readonly effects: Record<string, number>;
  readonly faults: Record<string, number>;
}

const MOST_SAMPLES = 100;
const MOST_HARMFUL_SAMPLES = 1000;

/** Counts since the start or the last reset. */
export class Report {
  #requests = 0;
  #byRoute = new Map<string, Map<string, number>>();
  #mistakes = new Map<string, { count: number; samples: string[] }>();
  #redundant: { count: number; samples: string[] } = { count: 0, samples: [] };
  #harmful = 0;
  #harmByKind = new Map<HarmKind, number>();
  #harmSamples: HarmfulWrite[] = [];
  #effects = new Map<string, number>();
  #faults = new Map<string, number>();

  noteAnswer(entry: JournalEntry): void {
    this.#requests += 1;
    const route = `${entry.method} ${entry.route}`;
    let statuses = this.#byRoute.get(route);
    if (!statuses) {
      statuses = new Map();
      this.#byRoute.set(route, statuses);
    }
    add(statuses, entry.status < 0 ? 'cut' : String(entry.status));
  }

  noteMistake(kind: string, sample: string): void {
    let tally = this.#mistakes.get(kind);
    if (!tally) {
      tally = { count: 0, samples: [] };
      this.#mistakes.set(kind, tally);
    }
    tally.count += 1;
    if (tally.samples.length < MOST_SAMPLES) tally.samples.push(sample);
  }

  noteRedundant(route: string, offerId: string): void {
    this.#redundant.count += 1;
    if (this.#redundant.samples.length < MOST_SAMPLES) this.#redundant.samples.push(`${route} ${offerId}`);
  }

  noteHarm(write: HarmfulWrite): void {
    this.#harmful += 1;
    for (const kind of write.kinds) add(this.#harmByKind, kind);
    if (this.#harmSamples.length < MOST_HARMFUL_SAMPLES) this.#harmSamples.push(write);
  }

  noteEffect(kind: string): void {
    add(this.#effects, kind);
  }

  noteFault(kind: string): void {
    add(this.#faults, kind);
  }

  read(limits: Pick<SimulatorReport, 'clients' | 'sellerLimits'>): SimulatorReport {
    return {
      requests: this.#requests,
      requestsByRoute: mapValues(this.#byRoute, (statuses) => [...statuses.values()].reduce((sum, n) => sum + n, 0)),
      statusesByRoute: mapValues(this.#byRoute, (statuses) => Object.fromEntries(statuses)),
      ...limits,
      clientMistakes: mapValues(this.#mistakes, ({ count, samples }) => ({ count, samples: [...samples] })),
      redundantWrites: { count: this.#redundant.count, samples: [...this.#redundant.samples] },
      harmfulWrites: {
        total: this.#harmful,
        byKind: Object.fromEntries(this.#harmByKind),
        samples: [...this.#harmSamples],
      },
      effects: Object.fromEntries(this.#effects),
      faults: Object.fromEntries(this.#faults),
    };
  }

  reset(): void {
    this.#requests = 0;
    this.#byRoute = new Map();
    this.#mistakes = new Map();
    this.#redundant = { count: 0, samples: [] };
    this.#harmful = 0;
    this.#harmByKind = new Map();
    this.#harmSamples = [];
    this.#effects = new Map();
    this.#faults = new Map();
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function mapValues<In, Out>(map: Map<string, In>, change: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));
}
