import type { JournalEntry } from './journal.js';
import type { SimulatorReport } from './report.js';
import type { Simulation } from './simulation.js';

/** What the page at `/` shows; read every second. */
export interface Overview {
  readonly now: number;
  readonly offers: number;
  readonly accounts: readonly {
    readonly id: string;
    readonly login: string;
    readonly offers: number;
    readonly countByStatus: Record<string, number>;
  }[];
  readonly lastRequests: readonly JournalEntry[];
  readonly lastRequest: number;
  readonly faultRules: number;
  readonly report: SimulatorReport;
}

const SHOWN_REQUESTS = 40;
const SHOWN_SAMPLES = 20;

export function overview(simulation: Simulation): Overview {
  const { catalogue, journal, report, applicationLimit, sellerLimits, faults, clock } = simulation;
  const full = report.read({ clients: applicationLimit.report(), sellerLimits: sellerLimits.report() });
  return {
    now: clock.now(),
    offers: catalogue.offers.size,
    accounts: [...catalogue.sellers.values()].map(({ id, login, offers, countByStatus }) => ({
      id,
      login,
      offers: offers.length,
      countByStatus,
    })),
    lastRequests: journal.latest(SHOWN_REQUESTS),
    lastRequest: journal.lastRequest,
    faultRules: faults.list().length,
    report: {
      ...full,
      harmfulWrites: { ...full.harmfulWrites, samples: full.harmfulWrites.samples.slice(-SHOWN_SAMPLES) },
    },
  };
}
