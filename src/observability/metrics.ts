import type { Redis } from 'ioredis';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { createMetricsStore, type StoredMetrics } from './metrics-store.js';

/** One request to the marketplace, answered or not. */
export interface FinishedRequest {
  readonly operation: string;
  /** null: not sent, or not answered. */
  readonly status: number | null;
  /** From sending to the complete answer. */
  readonly durationMs: number;
  readonly permitWaitMs: number;
  /** Class of the error it ended with. */
  readonly error?: string;
}

/** The end of one run of one account. */
export interface ClosedRun {
  readonly accountId: string;
  readonly seen: number;
  /** Confirmed writes only. */
  readonly updated: number;
  /** Error class → offers. */
  readonly failed: Readonly<Record<string, number>>;
  readonly held: number;
  readonly pending: number;
  readonly durationMs: number;
}

/** The body of `GET /metrics/allegro-sync`; each field is defined in `docs/operations.md`. Times in seconds. */
export interface MetricsSummary {
  /** `shared`: of all processes, from Redis. `process`: Redis is away, these are the numbers of this process alone. */
  readonly source: 'shared' | 'process';
  readonly processed_offers: number;
  readonly updated_offers: number;
  readonly errors: number;
  readonly errors_by_class: Readonly<Record<string, number>>;
  readonly held_offers: number;
  readonly pending_offers: number;
  readonly runs: number;
  readonly requests: number;
  readonly request_errors: number;
  readonly rate_limited_requests: number;
  readonly avg_response_time: number | null;
  readonly avg_permit_wait: number | null;
  readonly avg_run_duration: number | null;
}

export interface Metrics {
  requestFinished(request: FinishedRequest): void;
  runClosed(run: ClosedRun): void;
  /** A penalty, a lowered limit, lost state or a dropped permit: one more of its kind, in Prometheus only. */
  limiterReported(event: { readonly kind: string }): void;
  /** A number that goes up and down, in Redis under `…:gauge:<name>`; its mirror is `allegro_sync_<name>`. */
  setGauge(name: GaugeName, value: number): void;
  readSummary(): Promise<MetricsSummary>;
  /** Writes what is collected; also done each second. Never throws. */
  flush(): Promise<void>;
  /** A last flush; the connection stays the caller's. */
  close(): Promise<void>;
}

const GAUGES = {
  waiting_alerts: 'Alerts that could not be sent yet',
  open_incidents: 'Problems that a person was told of and that are not over',
  stale_accounts: 'Live accounts without a complete run within two intervals',
  is_stopped: '1 while the stop switch is on',
} as const;
export type GaugeName = keyof typeof GAUGES;

const COUNTERS = [
  'processed_offers',
  'updated_offers',
  'errors',
  'runs',
  'requests',
  'request_errors',
  'rate_limited_requests',
] as const;
type CounterName = (typeof COUNTERS)[number];
const ACCOUNT_GAUGES = ['held_offers', 'pending_offers'] as const;
type AccountGaugeName = (typeof ACCOUNT_GAUGES)[number];
const TIMINGS = ['api_response_time', 'permit_wait', 'run_duration'] as const;
type TimingName = (typeof TIMINGS)[number];

/** Where answers of Allegro lie: most under a second, a listing page up to some seconds, time-outs at 30 s. */
const REQUEST_BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Permits come at once or, in a busy minute, after up to a minute. */
const PERMIT_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60];
/** From a small account in sync to one of 200,000 offers behind a rate limit. */
const RUN_BUCKETS = [1, 5, 15, 60, 300, 900, 1800, 3600, 10_800, 21_600];

/** The numbers of the sync: shared ones in Redis, this process's own in the Prometheus registry. */
export function createMetrics({ redis, registry }: { redis: Redis; registry: Registry }): Metrics {
  const store = createMetricsStore(redis);
  const mirrors = createMirrors(registry);
  const own = createOwnNumbers();

  function count(name: CounterName, by = 1): void {
    store.count(name, by);
    own.count(name, by);
  }

  function time(name: TimingName, milliseconds: number): void {
    store.time(name, milliseconds / 1000);
    own.time(name, milliseconds / 1000);
  }

  function setAccountGauge(name: AccountGaugeName, accountId: string, value: number): void {
    store.accountGauge(name, accountId, value);
    own.accountGauge(name, accountId, value);
  }

  return {
    requestFinished(request) {
      const status = request.status === null ? 'none' : String(request.status);
      count('requests');
      mirrors.requests.inc({ operation: request.operation, status });
      mirrors.permitWait.observe(request.permitWaitMs / 1000);
      time('permit_wait', request.permitWaitMs);
      if (request.status !== null) {
        time('api_response_time', request.durationMs);
        mirrors.requestDuration.observe({ operation: request.operation }, request.durationMs / 1000);
      }
      if (request.status === 429) count('rate_limited_requests');
      if (request.error !== undefined) {
        count('request_errors');
        mirrors.requestErrors.inc({ class: request.error });
      }
    },

    runClosed(run) {
      const failed = Object.values(run.failed).reduce((sum, offers) => sum + offers, 0);
      const account = { account: run.accountId };
      count('runs');
      count('processed_offers', run.seen);
      count('updated_offers', run.updated);
      count('errors', failed);
      setAccountGauge('held_offers', run.accountId, run.held);
      setAccountGauge('pending_offers', run.accountId, run.pending);
      time('run_duration', run.durationMs);
      for (const [errorClass, offers] of Object.entries(run.failed)) {
        store.countError(errorClass, offers);
        own.countError(errorClass, offers);
        mirrors.errors.inc({ ...account, class: errorClass }, offers);
      }
      mirrors.runs.inc(account);
      mirrors.processed.inc(account, run.seen);
      mirrors.updated.inc(account, run.updated);
      mirrors.held.set(account, run.held);
      mirrors.pending.set(account, run.pending);
      mirrors.runDuration.observe(account, run.durationMs / 1000);
    },

    limiterReported({ kind }) {
      mirrors.limiterEvents.inc({ kind });
    },

    setGauge(name, value) {
      store.gauge(name, value);
      mirrors.setGauge(name, value);
    },

    async readSummary() {
      try {
        await store.flush();
        const names = { counters: COUNTERS, timings: TIMINGS, accountGauges: ACCOUNT_GAUGES };
        return toSummary('shared', await store.read(names));
      } catch {
        return toSummary('process', own.read());
      }
    },

    flush: () => store.flush(),
    close: () => store.close(),
  };
}

function toSummary(
  source: MetricsSummary['source'],
  { counters, averages, errorsByClass, accountGauges }: StoredMetrics,
): MetricsSummary {
  const counter = (name: CounterName): number => counters[name] ?? 0;
  const seconds = (name: TimingName): number | null => averages[name] ?? null;
  return {
    source,
    processed_offers: counter('processed_offers'),
    updated_offers: counter('updated_offers'),
    errors: counter('errors'),
    errors_by_class: errorsByClass,
    held_offers: accountGauges.held_offers ?? 0,
    pending_offers: accountGauges.pending_offers ?? 0,
    runs: counter('runs'),
    requests: counter('requests'),
    request_errors: counter('request_errors'),
    rate_limited_requests: counter('rate_limited_requests'),
    avg_response_time: seconds('api_response_time'),
    avg_permit_wait: seconds('permit_wait'),
    avg_run_duration: seconds('run_duration'),
  };
}

/** What this process has counted itself: all there is to show while Redis is away. */
function createOwnNumbers() {
  const counters: Record<string, number> = {};
  const errorsByClass: Record<string, number> = {};
  const sums: Record<string, { total: number; times: number }> = {};
  const gauges = new Map<string, Map<string, number>>();
  return {
    count: (name: string, by: number): void => void (counters[name] = (counters[name] ?? 0) + by),
    countError: (name: string, by: number): void => void (errorsByClass[name] = (errorsByClass[name] ?? 0) + by),
    accountGauge(name: string, accountId: string, value: number): void {
      gauges.set(name, (gauges.get(name) ?? new Map<string, number>()).set(accountId, value));
    },
    time(name: string, seconds: number): void {
      const sum = (sums[name] ??= { total: 0, times: 0 });
      sum.total += seconds;
      sum.times++;
    },
    read: (): StoredMetrics => ({
      counters,
      errorsByClass,
      accountGauges: Object.fromEntries(
        [...gauges].map(([name, values]) => [name, [...values.values()].reduce((sum, value) => sum + value, 0)]),
      ),
      averages: Object.fromEntries(Object.entries(sums).map(([name, { total, times }]) => [name, total / times])),
    }),
  };
}

function createMirrors(registry: Registry) {
  const registers = [registry];
  const gauges = new Map<string, Gauge>();
  const perAccount = (name: string, help: string) =>
    new Counter({ name: `allegro_sync_${name}`, help, labelNames: ['account'], registers });
  return {
    requests: new Counter({
      name: 'allegro_sync_requests_total',
      help: 'Requests to Allegro by operation and HTTP status; "none": not sent or not answered',
      labelNames: ['operation', 'status'],
      registers,
    }),
    requestErrors: new Counter({
      name: 'allegro_sync_request_errors_total',
      help: 'Requests to Allegro that ended with an error, by class',
      labelNames: ['class'],
      registers,
    }),
    requestDuration: new Histogram({
      name: 'allegro_sync_request_duration_seconds',
      help: 'From sending a request to its complete answer',
      labelNames: ['operation'],
      buckets: REQUEST_BUCKETS,
      registers,
    }),
    permitWait: new Histogram({
      name: 'allegro_sync_permit_wait_seconds',
      help: 'How long a request waited for its rate-limit permit',
      buckets: PERMIT_BUCKETS,
      registers,
    }),
    limiterEvents: new Counter({
      name: 'allegro_sync_limiter_events_total',
      help: 'Reports of the rate limiter by kind: penalised, assumed_limit_lowered, state_lost, permit_dropped',
      labelNames: ['kind'],
      registers,
    }),
    runs: perAccount('runs_total', 'Closed runs'),
    processed: perAccount('offers_processed_total', 'Offers seen by closed runs'),
    updated: perAccount('offers_updated_total', 'Confirmed writes of closed runs'),
    errors: new Counter({
      name: 'allegro_sync_offer_errors_total',
      help: 'Offers that a run could not correct, by class',
      labelNames: ['account', 'class'],
      registers,
    }),
    held: new Gauge({
      name: 'allegro_sync_held_offers',
      help: 'Offers held back by the last closed run',
      labelNames: ['account'],
      registers,
    }),
    pending: new Gauge({
      name: 'allegro_sync_pending_offers',
      help: 'Offers of the last closed run whose outcome is not known yet',
      labelNames: ['account'],
      registers,
    }),
    runDuration: new Histogram({
      name: 'allegro_sync_run_duration_seconds',
      help: 'From opening a run to closing it',
      labelNames: ['account'],
      buckets: RUN_BUCKETS,
      registers,
    }),
    setGauge(name: GaugeName, value: number): void {
      // Made when first set: a 0 before that would be a claim.
      const gauge = gauges.get(name) ?? new Gauge({ name: `allegro_sync_${name}`, help: GAUGES[name], registers });
      gauges.set(name, gauge);
      gauge.set(value);
    },
  };
}
