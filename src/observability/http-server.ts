import type { IncomingHttpHeaders } from 'node:http';
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify';
import type { Registry } from 'prom-client';
import type { Logger } from './logger.js';
import type { MetricsSummary } from './metrics.js';
import { readPrometheusText } from './prometheus-text.js';
import { createRequestBound } from './request-bound.js';
import { checkReadiness, type ReadinessChecks } from './readiness.js';
import { judgeSyncHealth, type AccountFreshness } from './sync-health.js';

export interface HttpServerOptions {
  readonly host: string;
  /** 0, or a port that is taken: a free one. */
  readonly port: number;
  readonly logger: Logger;
  readonly registry: Registry;
  /** host:port of the Temporal SDK's own metrics; null: it serves none. */
  readonly sdkMetricsAddress: string | null;
  readonly readSummary: () => Promise<MetricsSummary>;
  readonly checks: ReadinessChecks;
  readonly readAccounts: () => Promise<readonly AccountFreshness[]>;
  readonly scheduleSeconds: number;
  readonly now?: () => Date;
}

export interface HttpServer {
  readonly host: string;
  /** The port that was really taken. */
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/** Longer than any request needs: all are GET without a body. */
const LARGEST_BODY_BYTES = 1024;
const REQUEST_TIMEOUT_MS = 5000;
const MOST_CONNECTIONS = 100;

/**
 * Metrics and health over HTTP; nothing here changes anything, and only GET (and HEAD) is answered.
 * @throws when the host cannot be listened on
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = fastify({
    bodyLimit: LARGEST_BODY_BYTES,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    logger: false,
  });
  server.server.maxConnections = MOST_CONNECTIONS;
  addBounds(server, options.logger);
  addRoutes(server, options);
  const port = await listen(server, options);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return { host: options.host, port, url: `http://${host}:${port}`, close: () => server.close() };
}

function addBounds(server: FastifyInstance, logger: Logger): void {
  const bound = createRequestBound();
  server.addHook('onRequest', async (request, reply) => {
    void reply.header('cache-control', 'no-store');
    // Else Node would read on what follows, to throw it away.
    if (announcesLargeBody(request.headers)) void reply.header('connection', 'close');
    if (!bound.allows(request.ip)) {
      return await reply.code(429).header('retry-after', '1').send({ error: 'too many requests' });
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return await reply.code(405).header('allow', 'GET, HEAD').send({ error: 'only GET is answered here' });
    }
    if (!announcesLargeBody(request.headers)) return undefined;
    return await reply.code(413).send({ error: 'no body is read here' });
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'not found', paths: PATHS }));
  server.setErrorHandler((error, request, reply) => {
    logger.warn({ err: error, path: request.routeOptions.url }, 'an HTTP request failed');
    return reply.code(500).send({ error: 'failed; see the log' });
  });
}

/** Fastify's own limit is for bodies that a route reads, and those of GET it does not read. */
function announcesLargeBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > LARGEST_BODY_BYTES;
}

const PATHS = ['/metrics/allegro-sync', '/metrics', '/healthz', '/readyz', '/health/sync'];

function addRoutes(server: FastifyInstance, options: HttpServerOptions): void {
  const now = options.now ?? (() => new Date());

  server.get('/metrics/allegro-sync', () => options.readSummary());

  server.get('/metrics', async (_request, reply) => {
    const text = await readPrometheusText(options.registry, options.sdkMetricsAddress);
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
  });

  server.get('/healthz', () => ({ status: 'ok' }));

  server.get('/readyz', async (_request, reply) => {
    const readiness = await checkReadiness(options.checks);
    return answer(reply, readiness.status === 'ready', readiness);
  });

  server.get('/health/sync', async (_request, reply) => {
    const { scheduleSeconds: intervalSeconds } = options;
    const accounts = judgeSyncHealth(await options.readAccounts(), { now: now(), intervalSeconds });
    const isHealthy = accounts.every((account) => account.state !== 'stale');
    return answer(reply, isHealthy, { status: isHealthy ? 'ok' : 'stale', intervalSeconds, accounts });
  });
}

function answer(reply: FastifyReply, isGood: boolean, body: object): FastifyReply {
  return reply.code(isGood ? 200 : 503).send(body);
}

async function listen(server: FastifyInstance, { host, port, logger }: HttpServerOptions): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    if (port === 0 || !isAddressInUse(error)) throw error;
    await server.listen({ host, port: 0 });
    logger.warn({ host, wantedPort: port, port: portOf(server) }, `port ${port} is taken; a free one is used`);
  }
  return portOf(server);
}

function portOf(server: FastifyInstance): number {
  const address = server.server.address();
  if (address === null || typeof address === 'string') throw new Error('the HTTP server listens on no port');
  return address.port;
}

function isAddressInUse(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'EADDRINUSE';
}
