import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { connect } from 'node:net';
import { Counter, Registry } from 'prom-client';
import { startHttpServer, type HttpServer, type HttpServerOptions } from '../../../src/observability/http-server.js';
import { createLogger } from '../../../src/observability/logger.js';
import type { MetricsSummary } from '../../../src/observability/metrics.js';
import type { AccountFreshness } from '../../../src/observability/sync-health.js';

const NOW = new Date('2026-11-23T12:00:00Z');

const SUMMARY: MetricsSummary = {
  source: 'shared',
  processed_offers: 6000,
  updated_offers: 300,
  errors: 2,
  errors_by_class: { OfferRejected: 2 },
  held_offers: 0,
  pending_offers: 1,
  runs: 3,
  requests: 350,
  request_errors: 2,
  rate_limited_requests: 0,
  avg_response_time: 0.123,
  avg_permit_wait: 0.01,
  avg_run_duration: 4.2,
};

let servers: { close(): unknown }[] = [];
let logLines: string[] = [];

beforeEach(() => {
  servers = [];
  logLines = [];
});

afterEach(async () => {
  for (const server of servers) await server.close();
});

async function aServer(changes: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const fine = (): Promise<void> => Promise.resolve();
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    logger: createLogger({ level: 'info', destination: { write: (line: string) => void logLines.push(line) } }),
    registry: new Registry(),
    sdkMetricsAddress: null,
    readSummary: () => Promise.resolve(SUMMARY),
    checks: {
      temporal: fine,
      postgres: fine,
      redis: fine,
      limiter: () => Promise.resolve(null),
      scrub: (text) => text.replaceAll('s3cr3t', '[secret]'),
    },
    readAccounts: () => Promise.resolve([]),
    scheduleSeconds: 1800,
    now: () => NOW,
    ...changes,
  });
  servers.push(server);
  return server;
}

function anAccount(changes: Partial<AccountFreshness>): AccountFreshness {
  return {
    accountId: 'main',
    mode: 'live',
    isPaused: false,
    lastCompleteAt: null,
    liveSince: new Date('2026-01-01T00:00:00Z'),
    ...changes,
  };
}

/** A bare HTTP server, closed after the test. */
async function aForeignServer(body: string, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => response.end(body)).listen(port, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

async function getJson(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

describe('GET /metrics/allegro-sync', () => {
  test('answers with the summary, never cached', async () => {
    const { url } = await aServer();

    const response = await fetch(`${url}/metrics/allegro-sync`);

    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual(SUMMARY);
  });
});

describe('GET /metrics', () => {
  function aRegistry(): Registry {
    const registry = new Registry();
    new Counter({ name: 'allegro_sync_test_total', help: 'test', registers: [registry] }).inc(3);
    return registry;
  }

  test('answers with our own metrics and those of the Temporal SDK as one text', async () => {
    const sdk = await aForeignServer('# TYPE temporal_request counter\ntemporal_request{operation="Poll"} 7\n');
    const { url } = await aServer({ registry: aRegistry(), sdkMetricsAddress: `127.0.0.1:${sdk.port}` });

    const response = await fetch(`${url}/metrics`);
    const text = await response.text();

    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(text).toMatch(/^allegro_sync_test_total 3$/m);
    expect(text).toMatch(/^temporal_request\{operation="Poll"\} 7$/m);
    expect(text.endsWith('\n')).toBe(true);
  });

  test('still answers with our own when the SDK does not', async () => {
    const sdk = await aForeignServer('');
    sdk.server.close();
    await once(sdk.server, 'close');
    const { url } = await aServer({ registry: aRegistry(), sdkMetricsAddress: `127.0.0.1:${sdk.port}` });

    const text = await (await fetch(`${url}/metrics`)).text();

    expect(text).toMatch(/^allegro_sync_test_total 3$/m);
    expect(text).toContain('# The metrics of the Temporal SDK could not be read.');
  });
});

describe('GET /healthz', () => {
  test('says that the process is alive, whatever else is down', async () => {
    const down = (): Promise<never> => Promise.reject(new Error('down'));
    const { url } = await aServer({
      checks: { temporal: down, postgres: down, redis: down, limiter: down, scrub: (text) => text },
    });

    expect(await getJson(`${url}/healthz`)).toEqual({ status: 200, body: { status: 'ok' } });
  });
});

describe('GET /readyz', () => {
  const fine = (): Promise<void> => Promise.resolve();
  const scrub = (text: string): string => text.replaceAll('s3cr3t', '[secret]');

  test('is 200 when every part is reachable', async () => {
    const { url } = await aServer();

    expect(await getJson(`${url}/readyz`)).toMatchObject({
      status: 200,
      body: { status: 'ready', checks: { temporal: { ok: true, reason: null } }, limiter: { ok: true, reason: null } },
    });
  });

  test.each(['temporal', 'postgres', 'redis'] as const)('is 503 with the reason when %s is away', async (part) => {
    const checks = { temporal: fine, postgres: fine, redis: fine, limiter: () => Promise.resolve(null), scrub };
    const failing = { ...checks, [part]: () => Promise.reject(new Error('refused for s3cr3t')) };
    const { url } = await aServer({ checks: failing });

    const { status, body } = await getJson(`${url}/readyz`);

    expect(status).toBe(503);
    expect(body).toMatchObject({
      status: 'not_ready',
      checks: { [part]: { ok: false, reason: 'refused for [secret]' } },
    });
  });

  test('is 503 when a part does not answer at all', async () => {
    const hangs = (): Promise<void> => new Promise(() => undefined);
    const { url } = await aServer({
      checks: { temporal: hangs, postgres: fine, redis: fine, limiter: () => Promise.resolve(null), scrub },
    });

    expect(await getJson(`${url}/readyz`)).toMatchObject({
      status: 503,
      body: { checks: { temporal: { ok: false, reason: 'no answer within 3000 ms' } } },
    });
  });

  test('shows a blocked limiter and stays ready', async () => {
    const { url } = await aServer({
      checks: {
        temporal: fine,
        postgres: fine,
        redis: fine,
        limiter: () => Promise.resolve('blocked for 30 s'),
        scrub,
      },
    });

    expect(await getJson(`${url}/readyz`)).toMatchObject({
      status: 200,
      body: { limiter: { ok: false, reason: 'blocked for 30 s' } },
    });
  });
});

describe('GET /health/sync', () => {
  const fresh = new Date('2026-11-23T11:00:01Z');
  const old = new Date('2026-11-23T10:59:59Z');

  test.each([
    ['a live account with a complete run within two intervals', { lastCompleteAt: fresh }, 200, 'fresh'],
    ['a live account without one', { lastCompleteAt: old }, 503, 'stale'],
    ['a live account that never had one', { lastCompleteAt: null }, 503, 'stale'],
    ['an account that went live just now', { lastCompleteAt: null, liveSince: fresh }, 200, 'fresh'],
    ['an account that never went live and has no run', { liveSince: null, lastCompleteAt: null }, 503, 'stale'],
    ['a paused account', { lastCompleteAt: old, isPaused: true }, 200, 'paused'],
    ['an account in preview', { lastCompleteAt: old, mode: 'preview' }, 200, 'preview'],
  ] as const)('for %s', async (_what, changes, status, state) => {
    const { url } = await aServer({ readAccounts: () => Promise.resolve([anAccount(changes)]) });

    expect(await getJson(`${url}/health/sync`)).toMatchObject({ status, body: { accounts: [{ state }] } });
  });

  test('is 503 when one of several accounts is stale, and names it', async () => {
    const accounts = [
      anAccount({ accountId: 'good', lastCompleteAt: fresh }),
      anAccount({ accountId: 'bad', lastCompleteAt: old }),
    ];
    const { url } = await aServer({ readAccounts: () => Promise.resolve(accounts) });

    expect(await getJson(`${url}/health/sync`)).toEqual({
      status: 503,
      body: {
        status: 'stale',
        intervalSeconds: 1800,
        accounts: [
          { accountId: 'good', state: 'fresh', lastCompleteAt: fresh.toISOString(), ageSeconds: 3599 },
          { accountId: 'bad', state: 'stale', lastCompleteAt: old.toISOString(), ageSeconds: 3601 },
        ],
      },
    });
  });

  test('is 500 without any detail when the accounts cannot be read; the log has them', async () => {
    const { url } = await aServer({ readAccounts: () => Promise.reject(new Error('connect to db.internal failed')) });

    const { status, body } = await getJson(`${url}/health/sync`);

    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain('db.internal');
    expect(logLines.join('')).toContain('db.internal');
  });
});

describe('the server', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('refuses %s', async (method) => {
    const { url } = await aServer();

    const response = await fetch(`${url}/metrics`, { method });

    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  test('answers an unknown path with the known ones', async () => {
    const { url } = await aServer();

    expect(await getJson(`${url}/admin`)).toMatchObject({
      status: 404,
      body: { paths: expect.arrayContaining(['/readyz']) },
    });
  });

  test.each([
    ['GET', 'Content-Length: 1000000000', 413],
    ['GET', 'Transfer-Encoding: chunked', 413],
    ['POST', 'Content-Length: 1000000000', 405],
  ])('reads no large body of %s (%s): refuses it and closes the connection', async (method, announced, status) => {
    const { port } = await aServer();
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    // Being cut off while it sends is what the sender is to meet.
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));

    socket.write(`${method} /healthz HTTP/1.1\r\nHost: x\r\n${announced}\r\n\r\n`);
    await closed;

    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  test('answers a GET with a small body, which some probes send', async () => {
    const { url } = await aServer();

    const status = await new Promise<number>((resolve, reject) => {
      const headers = { 'content-length': '2' };
      const sent = httpRequest(`${url}/healthz`, { method: 'GET', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end('{}');
    });

    expect(status).toBe(200);
  });

  test.each([
    ['GET', 200],
    ['POST', 405],
  ])('answers no more than so many requests a second, of %s', async (method, usual) => {
    const { url } = await aServer();
    const statusOf = async (): Promise<number> => {
      const response = await fetch(`${url}/healthz`, { method });
      await response.text();
      return response.status;
    };

    // A slow machine may spread one volley over several seconds.
    const seen = new Set<number>();
    for (const deadline = Date.now() + 20_000; Date.now() < deadline && !seen.has(429);) {
      for (const status of await Promise.all(Array.from({ length: 90 }, statusOf))) seen.add(status);
    }

    expect([...seen].sort()).toEqual([usual, 429]);
  });

  test('closes a connection that never completes its request', async () => {
    const { port } = await aServer();
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');

    await once(socket, 'close');

    expect(socket.destroyed).toBe(true);
  });

  test('says that its port is taken and takes a free one', async () => {
    const taken = await aForeignServer('other');

    const server = await aServer({ port: taken.port });

    expect(server.port).not.toBe(taken.port);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(logLines.join('')).toContain(`port ${taken.port} is taken`);
  });

  test('takes the port it is given when that is free', async () => {
    const free = await aForeignServer('');
    free.server.close();
    await once(free.server, 'close');

    expect((await aServer({ port: free.port })).port).toBe(free.port);
  });

  test('rejects a host that is not of this machine', async () => {
    await expect(aServer({ host: '192.0.2.1' })).rejects.toThrow();
  });

  test('is gone after close, also for a client that keeps its connection', async () => {
    const server = await aServer();
    await (await fetch(`${server.url}/healthz`)).text();

    await server.close();

    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
  });
});
