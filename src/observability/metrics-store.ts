import type { ChainableCommander, Redis } from 'ioredis';

export const METRICS_PREFIX = 'allegro_sync_metrics';
/** A number that nobody has written for a day is gone. */
const EXPIRY_SECONDS = 24 * 60 * 60;
const KEPT_TIMINGS = 1000;
const FLUSH_EVERY_MS = 1000;
/** Redis that hangs must not keep the numbers of a stopping process for ever. */
const FLUSH_TIMEOUT_MS = 2000;

export interface StoredMetrics {
  readonly counters: Readonly<Record<string, number>>;
  /** Averages of the last 1000 timings, in seconds; null: none. */
  readonly averages: Readonly<Record<string, number | null>>;
  readonly errorsByClass: Readonly<Record<string, number>>;
  /** Sums over all accounts. */
  readonly accountGauges: Readonly<Record<string, number>>;
}

export interface StoredNames {
  readonly counters: readonly string[];
  readonly timings: readonly string[];
  readonly accountGauges: readonly string[];
}

/**
 * The numbers that all processes share, in Redis. They are collected in memory and written once a second in one
 * transaction, so that a request costs no round trip. Redis may be away at any time: then they wait, in bounded memory.
 * A reply that is lost may count a second twice; live numbers may be that wrong.
 */
export interface MetricsStore {
  count(name: string, by?: number): void;
  countError(errorClass: string, by?: number): void;
  gauge(name: string, value: number): void;
  /** A number of one account that the next one replaces. */
  accountGauge(name: string, accountId: string, value: number): void;
  time(name: string, seconds: number): void;
  /** Never throws; does nothing while Redis is away. */
  flush(): Promise<void>;
  /** @throws when Redis does not answer */
  read(names: StoredNames): Promise<StoredMetrics>;
  /** A last flush; the connection stays the caller's. */
  close(): Promise<void>;
}

/** What is not written yet. */
interface Unwritten {
  readonly counters: Map<string, number>;
  readonly errors: Map<string, number>;
  readonly gauges: Map<string, number>;
  readonly accountGauges: Map<string, Map<string, string>>;
  readonly timings: Map<string, number[]>;
}

export function createMetricsStore(redis: Redis): MetricsStore {
  let unwritten = nothing();
  let writing: Promise<void> | null = null;
  const timer = setInterval(() => void flush(), FLUSH_EVERY_MS);
  // The process may end while this timer waits; `close` writes the rest.
  timer.unref();

  async function flush(): Promise<void> {
    if (writing !== null) return writing;
    if (isEmpty(unwritten) || redis.status !== 'ready') return;
    writing = writeOut().finally(() => (writing = null));
    return writing;
  }

  async function writeOut(): Promise<void> {
    const batch = unwritten;
    unwritten = nothing();
    try {
      // A single command that is refused (a key of another type) stays refused; its neighbours were written.
      await within(FLUSH_TIMEOUT_MS, addWrites(redis.multi(), batch).exec());
    } catch {
      putBack(batch);
    }
  }

  function putBack(batch: Unwritten): void {
    for (const [name, by] of batch.counters) add(unwritten.counters, name, by);
    for (const [name, by] of batch.errors) add(unwritten.errors, name, by);
    for (const [name, value] of batch.gauges) {
      if (!unwritten.gauges.has(name)) unwritten.gauges.set(name, value);
    }
    for (const [name, values] of batch.accountGauges) {
      unwritten.accountGauges.set(name, new Map([...values, ...(unwritten.accountGauges.get(name) ?? [])]));
    }
    for (const [name, values] of batch.timings) {
      const newer = unwritten.timings.get(name) ?? [];
      unwritten.timings.set(name, [...values, ...newer].slice(-KEPT_TIMINGS));
    }
  }

  return {
    count: (name, by = 1) => add(unwritten.counters, name, by),
    countError: (errorClass, by = 1) => add(unwritten.errors, errorClass, by),
    gauge: (name, value) => void unwritten.gauges.set(name, value),
    accountGauge(name, accountId, value) {
      const values = unwritten.accountGauges.get(name) ?? new Map<string, string>();
      values.set(accountId, `${value}@${Date.now()}`);
      unwritten.accountGauges.set(name, values);
    },
    time(name, seconds) {
      const values = unwritten.timings.get(name) ?? [];
      values.push(seconds);
      // Halving now and then is cheaper than dropping one each time.
      if (values.length >= 2 * KEPT_TIMINGS) values.splice(0, values.length - KEPT_TIMINGS);
      unwritten.timings.set(name, values);
    },
    flush,
    read: (names) => within(FLUSH_TIMEOUT_MS, readStored(redis, names)),
    async close() {
      clearInterval(timer);
      await flush();
      await flush();
    },
  };
}

function nothing(): Unwritten {
  return { counters: new Map(), errors: new Map(), gauges: new Map(), accountGauges: new Map(), timings: new Map() };
}

function isEmpty(batch: Unwritten): boolean {
  return Object.values(batch).every((numbers: ReadonlyMap<string, unknown>) => numbers.size === 0);
}

function add(numbers: Map<string, number>, name: string, by: number): void {
  if (by !== 0) numbers.set(name, (numbers.get(name) ?? 0) + by);
}

const counterKey = (name: string): string => `${METRICS_PREFIX}:counter:${name}`;
const gaugeKey = (name: string): string => `${METRICS_PREFIX}:gauge:${name}`;
const timingKey = (name: string): string => `${METRICS_PREFIX}:timing:${name}`;
const ERRORS_KEY = `${METRICS_PREFIX}:errors_by_class`;

function addWrites(transaction: ChainableCommander, batch: Unwritten): ChainableCommander {
  for (const [name, by] of batch.counters) {
    transaction.incrby(counterKey(name), by).expire(counterKey(name), EXPIRY_SECONDS);
  }
  for (const [errorClass, by] of batch.errors) transaction.hincrby(ERRORS_KEY, errorClass, by);
  if (batch.errors.size > 0) transaction.expire(ERRORS_KEY, EXPIRY_SECONDS);
  for (const [name, value] of batch.gauges) transaction.set(gaugeKey(name), value, 'EX', EXPIRY_SECONDS);
  for (const [name, values] of batch.accountGauges) {
    transaction.hset(gaugeKey(name), values).expire(gaugeKey(name), EXPIRY_SECONDS);
  }
  for (const [name, values] of batch.timings) {
    const newestFirst = values.slice(-KEPT_TIMINGS).map((seconds) => seconds.toFixed(6));
    transaction
      .lpush(timingKey(name), ...newestFirst)
      .ltrim(timingKey(name), 0, KEPT_TIMINGS - 1)
      .expire(timingKey(name), EXPIRY_SECONDS);
  }
  return transaction;
}

async function readStored(redis: Redis, names: StoredNames): Promise<StoredMetrics> {
  if (redis.status !== 'ready') throw new Error('Redis is not connected');
  const [counts, errors, lists, gauges] = await Promise.all([
    redis.mget(names.counters.map(counterKey)),
    redis.hgetall(ERRORS_KEY),
    Promise.all(names.timings.map((name) => redis.lrange(timingKey(name), 0, KEPT_TIMINGS - 1))),
    Promise.all(names.accountGauges.map((name) => redis.hvals(gaugeKey(name)))),
  ]);
  return {
    counters: Object.fromEntries(names.counters.map((name, index) => [name, Number(counts[index] ?? 0)])),
    averages: Object.fromEntries(names.timings.map((name, index) => [name, average((lists[index] ?? []).map(Number))])),
    errorsByClass: Object.fromEntries(Object.entries(errors).map(([name, count]) => [name, Number(count)])),
    accountGauges: Object.fromEntries(
      names.accountGauges.map((name, index) => [name, sumOfFresh(gauges[index] ?? [])]),
    ),
  };
}

/** "value@epoch ms" of each account; accounts that are gone are left out once their number is a day old. */
function sumOfFresh(values: readonly string[]): number {
  const oldest = Date.now() - EXPIRY_SECONDS * 1000;
  return values
    .map((value) => value.split('@').map(Number))
    .filter(([, at = 0]) => at >= oldest)
    .reduce((sum, [value = 0]) => sum + value, 0);
}

function average(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function within<Result>(milliseconds: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('Redis does not answer')), milliseconds);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
