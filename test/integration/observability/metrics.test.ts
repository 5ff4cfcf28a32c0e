import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import {
  createMetrics,
  type ClosedRun,
  type FinishedRequest,
  type Metrics,
} from '../../../src/observability/metrics.js';
import { testRedisUrl } from '../../servers.js';

let redis: Redis;
let metrics: Metrics[] = [];

beforeAll(() => {
  redis = new Redis(testRedisUrl());
});

beforeEach(async () => {
  await redis.flushdb();
});

afterEach(async () => {
  for (const one of metrics) await one.close();
  metrics = [];
});

afterAll(async () => {
  await redis.quit();
});

function someMetrics(connection = redis, registry = new Registry()): Metrics {
  const created = createMetrics({ redis: connection, registry });
  metrics.push(created);
  return created;
}

function aRequest(changes: Partial<FinishedRequest> = {}): FinishedRequest {
  return { operation: 'writeOffer', status: 200, durationMs: 100, permitWaitMs: 10, ...changes };
}

function aRun(changes: Partial<ClosedRun> = {}): ClosedRun {
  return {
    accountId: 'main',
    seen: 2000,
    updated: 90,
    failed: { OfferRejected: 2, OutcomeUnknown: 1 },
    held: 4,
    pending: 1,
    durationMs: 5000,
    ...changes,
  };
}

describe('the numbers in Redis', () => {
  test('are those of all processes together', async () => {
    const [one, other] = [someMetrics(), someMetrics()];

    one.runClosed(aRun());
    other.runClosed(aRun({ accountId: 'second', failed: { OfferRejected: 1 }, held: 0 }));
    one.requestFinished(aRequest({ durationMs: 100 }));
    other.requestFinished(aRequest({ durationMs: 300 }));
    await Promise.all([one.flush(), other.flush()]);

    expect(await one.readSummary()).toEqual({
      source: 'shared',
      processed_offers: 4000,
      updated_offers: 180,
      errors: 4,
      errors_by_class: { OfferRejected: 3, OutcomeUnknown: 1 },
      held_offers: 4,
      pending_offers: 2,
      runs: 2,
      requests: 2,
      request_errors: 0,
      rate_limited_requests: 0,
      avg_response_time: 0.2,
      avg_permit_wait: 0.01,
      avg_run_duration: 5,
    });
  });

  test('show what the last run of an account holds back, not the sum of all its runs', async () => {
    const one = someMetrics();

    one.runClosed(aRun({ held: 7, pending: 3 }));
    one.runClosed(aRun({ held: 2, pending: 0 }));

    expect(await one.readSummary()).toMatchObject({ held_offers: 2, pending_offers: 0, runs: 2 });
  });

  test('count a request that was not answered as an error without a response time', async () => {
    const one = someMetrics();

    one.requestFinished(aRequest({ status: null, durationMs: 30_000, error: 'OutcomeUnknown' }));
    one.requestFinished(aRequest({ status: 429, durationMs: 50, error: 'RateLimited' }));

    expect(await one.readSummary()).toMatchObject({
      requests: 2,
      request_errors: 2,
      rate_limited_requests: 1,
      avg_response_time: 0.05,
    });
  });

  test('all carry the prefix and are gone a day after they were last written', async () => {
    const one = someMetrics();
    one.runClosed(aRun());
    one.requestFinished(aRequest({ error: 'InvalidAnswer' }));
    one.setGauge('waiting_alerts', 3);
    await one.flush();

    const keys = await redis.keys('*');
    const lifetimes = await Promise.all(keys.map((key) => redis.ttl(key)));

    expect(keys.length).toBeGreaterThan(8);
    expect(keys.filter((key) => !key.startsWith('allegro_sync_metrics:'))).toEqual([]);
    expect(lifetimes.filter((seconds) => seconds <= 86_000 || seconds > 86_400)).toEqual([]);
    expect(await redis.get('allegro_sync_metrics:gauge:waiting_alerts')).toBe('3');
  });

  test('keep the last 1000 timings of each name, the newest first', async () => {
    const one = someMetrics();
    for (let index = 1; index <= 2600; index++) one.requestFinished(aRequest({ durationMs: index }));
    await one.flush();

    const timings = await redis.lrange('allegro_sync_metrics:timing:api_response_time', 0, -1);

    expect(timings).toHaveLength(1000);
    expect(Number(timings[0])).toBe(2.6);
    expect(Number(timings[999])).toBe(1.601);
  });

  test('cost no round trip per request: a thousand are written in one', async () => {
    const calls = async (): Promise<number> => {
      const stats = await redis.info('commandstats');
      return Number(/cmdstat_exec:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const before = await calls();
    const one = someMetrics();

    for (let index = 0; index < 1000; index++) one.requestFinished(aRequest());
    await one.flush();

    expect((await calls()) - before).toBe(1);
    expect(await one.readSummary()).toMatchObject({ requests: 1000 });
  });

  test('are written each second without being asked', async () => {
    someMetrics().runClosed(aRun());

    const deadline = Date.now() + 10_000;
    let written: string | null = null;
    while (written === null && Date.now() < deadline) written = await redis.get('allegro_sync_metrics:counter:runs');

    expect(written).toBe('1');
  });

  test('are written at shutdown', async () => {
    const one = someMetrics();
    one.runClosed(aRun());

    await one.close();

    expect(await redis.get('allegro_sync_metrics:counter:runs')).toBe('1');
  });
});

describe('while Redis is away', () => {
  function aDisconnectedRedis(): Redis {
    const connection = new Redis({ port: 1, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null });
    connection.on('error', () => undefined);
    return connection;
  }

  test('nothing fails, and the summary shows what this process counted', async () => {
    const one = someMetrics(aDisconnectedRedis());

    one.runClosed(aRun());
    one.requestFinished(aRequest({ durationMs: 100 }));
    one.requestFinished(aRequest({ durationMs: 200 }));
    await one.flush();

    const summary = await one.readSummary();
    expect(summary).toMatchObject({
      source: 'process',
      processed_offers: 2000,
      errors: 3,
      errors_by_class: { OfferRejected: 2, OutcomeUnknown: 1 },
      held_offers: 4,
    });
    expect(summary.avg_response_time).toBeCloseTo(0.15);
  });

  test('the numbers wait, and are written when it is back', async () => {
    const connection = new Redis(testRedisUrl(), { lazyConnect: true });
    const one = someMetrics(connection);
    for (let index = 0; index < 5; index++) one.requestFinished(aRequest());
    one.setGauge('open_incidents', 1);
    await one.flush();
    expect(await redis.dbsize()).toBe(0);

    await connection.connect();
    one.requestFinished(aRequest());

    expect(await one.readSummary()).toMatchObject({ source: 'shared', requests: 6 });
    expect(await redis.get('allegro_sync_metrics:gauge:open_incidents')).toBe('1');
    await connection.quit();
  });

  test('numbers that Redis refused as a whole are not lost', async () => {
    const connection = new Redis(testRedisUrl(), {
      username: 'reader',
      password: 'reader-password',
      lazyConnect: true,
    });
    await redis.call(
      'ACL',
      'SETUSER',
      'reader',
      'reset',
      'on',
      '>reader-password',
      '~*',
      '+@read',
      '+@connection',
      '+info',
    );
    await connection.connect();
    const one = someMetrics(connection);
    one.runClosed(aRun());
    await one.flush();
    expect(await redis.dbsize()).toBe(0);

    await redis.call('ACL', 'SETUSER', 'reader', '+@all');

    expect(await one.readSummary()).toMatchObject({ source: 'shared', runs: 1, processed_offers: 2000 });
    await one.close();
    await connection.quit();
    await redis.call('ACL', 'DELUSER', 'reader');
  });

  test('a key that somebody broke does not make the others count twice', async () => {
    const one = someMetrics();
    await redis.lpush('allegro_sync_metrics:counter:runs', 'not a number');
    one.runClosed(aRun());
    await one.flush();
    await one.flush();

    expect(await redis.get('allegro_sync_metrics:counter:processed_offers')).toBe('2000');
  });
});

describe('the mirrors for Prometheus', () => {
  test('hold the numbers of this process', async () => {
    const registry = new Registry();
    const one = someMetrics(redis, registry);

    one.runClosed(aRun());
    one.requestFinished(aRequest({ durationMs: 300 }));
    one.requestFinished(aRequest({ status: null, error: 'OutcomeUnknown' }));
    one.setGauge('waiting_alerts', 2);
    const text = await registry.metrics();

    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'allegro_sync_offers_processed_total{account="main"} 2000',
        'allegro_sync_offers_updated_total{account="main"} 90',
        'allegro_sync_offer_errors_total{account="main",class="OfferRejected"} 2',
        'allegro_sync_held_offers{account="main"} 4',
        'allegro_sync_pending_offers{account="main"} 1',
        'allegro_sync_requests_total{operation="writeOffer",status="200"} 1',
        'allegro_sync_requests_total{operation="writeOffer",status="none"} 1',
        'allegro_sync_request_errors_total{class="OutcomeUnknown"} 1',
        'allegro_sync_request_duration_seconds_count{operation="writeOffer"} 1',
        'allegro_sync_permit_wait_seconds_count 2',
        'allegro_sync_waiting_alerts 2',
      ]),
    );
  });

  test('do not claim 0 for a gauge that nobody has set', async () => {
    const registry = new Registry();
    someMetrics(redis, registry);

    expect(await registry.metrics()).not.toContain('waiting_alerts');
  });
});
