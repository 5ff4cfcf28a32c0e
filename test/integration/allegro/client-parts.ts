import { createServer, type Server } from 'node:http';
import {
  createHttpClient,
  type HttpClient,
  type HttpClientOptions,
  type HttpRequest,
} from '../../../src/allegro/http-client.js';
import type { RateLimiter } from '../../../src/rate-limit/limiter.js';
import { USER_AGENT } from './allegro-under-test.js';

/** A limiter that grants everything at once, and keeps what it was asked. */
export function openLimiter(changes: Partial<RateLimiter> = {}) {
  const asked: Parameters<RateLimiter['acquire']>[] = [];
  const penalised: Parameters<RateLimiter['penalise']>[] = [];
  const limiter: Pick<RateLimiter, 'acquire' | 'peek' | 'penalise' | 'answered' | 'unanswered' | 'usage'> = {
    acquire: (...args) => {
      asked.push(args);
      return Promise.resolve({ kind: 'granted', waitMs: 0, probe: false, isFresh: () => true });
    },
    peek: () => Promise.resolve({ waitMs: 0, scope: null }),
    penalise: (...args) => {
      penalised.push(args);
      return Promise.resolve();
    },
    answered: () => Promise.resolve(),
    unanswered: () => Promise.resolve(),
    usage: () => Promise.resolve([]),
    ...changes,
  };
  return { limiter, asked, penalised };
}

/** A server that answers as told, for what the simulator cannot do. */
export async function serve(answer: Parameters<typeof createServer>[1]): Promise<{ url: string; server: Server }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, server };
}

/** The HTTP client alone, with an open limiter. */
export function clientFor(url: string, changes: Partial<HttpClientOptions> = {}): HttpClient {
  return createHttpClient({
    apiUrl: url,
    authUrl: url,
    userAgent: USER_AGENT,
    limiter: openLimiter().limiter,
    stopSwitch: { isStopped: () => Promise.resolve(false) },
    ...changes,
  });
}

/** A read that needs nothing but the application's permit. */
export function request(changes: Partial<HttpRequest> = {}): HttpRequest {
  return {
    operation: 'testCall',
    kind: 'account_read',
    method: 'GET',
    host: 'api',
    route: '/me',
    path: '/me',
    headers: { authorization: `Bearer made-up` },
    quotas: [{ scope: 'app', limit: 9000, windowMs: 60_000, weight: 1, maxWeight: 1 }],
    call: { accountId: null, priority: 'scheduled' },
    timeoutMs: 1000,
    maxBytes: 10_000,
    ...changes,
  };
}
