import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import got, { RequestError, TimeoutError, type Response } from 'got';
import { SyncError, type SyncErrorType } from '../domain/errors.js';
import type { AccountId, OfferId, Sku } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import { LimiterUnavailable, type Grant, type Quota, type RateLimiter } from '../rate-limit/limiter.js';
import type { AnswerKind } from './error-table.js';
import { parseProblem } from './answers.js';
import { answerError, findErrorRule, transportError } from './errors.js';
import { redact, toTraceId } from './redact.js';
import { RequestGate } from './request-gate.js';
import { parseRetryAfter } from './retry-after.js';
import { createStopCheck } from './stop-check.js';

export const PUBLIC_MEDIA_TYPE = 'application/vnd.allegro.public.v1+json';
export const BETA_MEDIA_TYPE = 'application/vnd.allegro.beta.v1+json';

/** Asked before every write; it may be cached for 2 s here, so that a stop is obeyed within 5 s. */
export interface StopSwitch {
  isStopped(): Promise<boolean>;
}

/** What is told of every request, sent or not, for logs and metrics. Holds no secret. */
export interface RequestReport {
  readonly operation: string;
  readonly accountId: AccountId | null;
  readonly method: HttpRequest['method'];
  /** The path's template, as `/sale/product-offers/{offerId}`. */
  readonly route: string;
  /** null: not sent, or not answered. */
  readonly status: number | null;
  /** From sending to the complete answer; 0 when it was not sent. */
  readonly durationMs: number;
  readonly permitWaitMs: number;
  readonly traceId: string | null;
  readonly offerId?: OfferId;
  readonly sku?: Sku;
  readonly attempt?: number;
  readonly runId?: string;
  /** What kept it from being answered, or what its status and code mean by the error table. */
  readonly error?: SyncErrorType;
  /** Allegro's own code. */
  readonly errorCode?: string;
}

export interface HttpClientOptions {
  /** Without a slash at the end. */
  readonly apiUrl: string;
  readonly authUrl: string;
  /** `AppName/1.0.0 (+https://…)`; Allegro rejects requests without it (#13126). */
  readonly userAgent: string;
  readonly limiter: Pick<RateLimiter, 'acquire' | 'peek' | 'penalise' | 'answered' | 'unanswered'>;
  readonly stopSwitch: StopSwitch;
  readonly onRequest?: (report: RequestReport) => void;
  /** Requests in flight of this process, the wait for their permits included. Default 300. */
  readonly maxInFlight?: number;
  /** How long a permit is waited for before the caller is told to come back. Default 2000. */
  readonly maxInlineWaitMs?: number;
  /** Multiplies all time-outs; tests make it small. Default 1. */
  readonly timeoutFactor?: number;
}

export interface HttpRequest {
  readonly operation: string;
  readonly kind: AnswerKind;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly host: 'api' | 'auth';
  readonly route: string;
  /** With its query, everything encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly quotas: readonly Quota[];
  readonly call: Pick<Call, 'priority' | 'signal' | 'runId' | 'sku' | 'attempt' | 'sendBy'> & {
    readonly accountId: AccountId | null;
  };
  readonly offerId?: OfferId;
  readonly timeoutMs: number;
  /** A longer body is refused. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly traceId: string | null;
  /** null: no `Retry-After`. */
  readonly retryAfterMs: number | null;
  readonly location: string | null;
}

/**
 * The one way to Allegro. Each request is sent once, with a permit taken at that moment; what to do next is the
 * caller's. Answers of any status but 429 are returned.
 *
 * `send` throws SyncErrors without a cause (got's errors hold the Authorization header): `RateLimited` (no room or no
 * permit within 2 s each, or a 429), `DependencyUnavailable` (no limiter, or too late for `sendBy`), `WritesStopped`,
 * `MarketplaceUnavailable`, `OutcomeUnknown`, `InvalidAnswer` (body too long); or the signal's reason when it is aborted before a write is on its way.
 */
export interface HttpClient {
  send(request: HttpRequest): Promise<HttpAnswer>;
  /**
   * How long so many requests at once would wait now, taking no permit; those that need not wait long are counted as
   * on their way. @throws SyncError DependencyUnavailable
   */
  peek(quotas: readonly Quota[], requestsAtOnce: number): Promise<{ waitMs: number; scope: string | null }>;
  /** Closes idle connections. */
  close(): void;
}

/** Establishing a connection takes less than a second or fails. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Without `Retry-After`: the block of a Client ID lasts a minute (FAQ). */
const BLOCK_MS = 60_000;

/**
 * 2 s × 150 requests/s. Fewer are let in to begin with (`RateLimiter.peek`), so whoever waits does so in the limiter's
 * line, which is fair, counts them, and ends after 2 s; this only bounds the sockets.
 */
const MOST_IN_FLIGHT = 300;
/** Longer waits are the workflow's, which holds no activity slot meanwhile. */
const MAX_INLINE_WAIT_MS = 2_000;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const gate = new RequestGate(options.maxInFlight ?? MOST_IN_FLIGHT, options.maxInlineWaitMs ?? MAX_INLINE_WAIT_MS);
  const checkStop = createStopCheck(options.stopSwitch);
  const agents = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ keepAlive: true }),
  };
  const bases = { api: options.apiUrl, auth: options.authUrl };
  const factor = options.timeoutFactor ?? 1;

  async function takePermit(request: HttpRequest): Promise<{ waitMs: number; isProbe: boolean }> {
    const { priority, signal, accountId } = request.call;
    const startedAt = performance.now();
    for (;;) {
      const permit = await options.limiter.acquire(request.quotas, {
        signal,
        priority,
        maxInlineWaitMs: options.maxInlineWaitMs,
        party: accountId ?? undefined,
      });
      if (permit.kind === 'refused') {
        throw new SyncError('RateLimited', `${request.operation}: no permit of "${permit.scope}" yet.`, {
          retryInMs: permit.retryInMs,
          scope: permit.scope,
        });
      }
      const isToBeSent = await orGiveBack(request, permit.probe, mayStillBeSent(request, permit));
      if (isToBeSent) return { waitMs: Math.round(performance.now() - startedAt), isProbe: permit.probe };
      await giveBackProbe(request, permit.probe);
    }
  }

  async function mayStillBeSent(request: HttpRequest, permit: Pick<Grant, 'isFresh'>): Promise<boolean> {
    if (isWrite(request)) await checkStop();
    refuseLate(request);
    return permit.isFresh();
  }

  /** Else everybody would wait for what was never answered. */
  async function giveBackProbe({ quotas }: HttpRequest, isProbe: boolean): Promise<void> {
    if (isProbe) await options.limiter.unanswered(quotas).catch(() => undefined);
  }

  async function orGiveBack<Result>(request: HttpRequest, isProbe: boolean, work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      await giveBackProbe(request, isProbe);
      throw error;
    }
  }

  async function exchange(request: HttpRequest): Promise<Response<string>> {
    // A write on its way is not called back: its outcome would be unknown.
    const signal = isWrite(request) ? undefined : request.call.signal;
    const promise = got(bases[request.host] + request.path, {
      method: request.method,
      headers: { ...request.headers, 'user-agent': options.userAgent },
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(signal === undefined ? {} : { signal }),
      agent: agents,
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      timeout: { request: request.timeoutMs * factor, connect: CONNECT_TIMEOUT_MS * factor },
    });
    const length = { isExceeded: false };
    void promise.on('downloadProgress', ({ transferred }) => {
      if (transferred <= request.maxBytes || length.isExceeded) return;
      length.isExceeded = true;
      promise.cancel();
    });
    try {
      return await promise;
    } catch (error) {
      if (length.isExceeded) {
        throw new SyncError('InvalidAnswer', `${request.operation}: Allegro's answer is longer than expected.`);
      }
      signal?.throwIfAborted();
      throw toTransportError(error, request);
    }
  }

  /** Who is blocked and for how long is Redis' to know; when it is away the caller waits all the same. */
  async function tellBlock(request: HttpRequest, { status, body, retryAfterMs }: HttpAnswer): Promise<never> {
    // Logins are limited per seller by counters of their own: the other accounts go on.
    const meant = request.host === 'auth' && request.quotas.length > 1 ? request.quotas.slice(1) : request.quotas;
    await options.limiter.penalise(meant, retryAfterMs).catch(() => undefined);
    throw answerError({
      kind: request.kind,
      status,
      code: shownCode(request, body),
      message: null,
      facts: { retryInMs: retryAfterMs ?? BLOCK_MS, scope: meant.at(-1)?.scope ?? 'app' },
    });
  }

  async function sendNow(request: HttpRequest, report: Report): Promise<HttpAnswer> {
    if (isWrite(request)) await checkStop();
    const permit = await takePermit(request);
    report.permitWaitMs = permit.waitMs;
    const sentAt = performance.now();
    const exchanged = exchange(request).finally(() => {
      report.durationMs = Math.round(performance.now() - sentAt);
    });
    const response = await orGiveBack(request, permit.isProbe, exchanged);
    const answer: HttpAnswer = {
      status: response.statusCode,
      body: response.body,
      traceId: toTraceId(response.headers['trace-id']),
      retryAfterMs: parseRetryAfter(response.headers['retry-after']),
      location: response.headers.location ?? null,
    };
    report.status = answer.status;
    report.traceId = answer.traceId;
    if (answer.status === 429) return tellBlock(request, answer);
    if (permit.isProbe) await options.limiter.answered(request.quotas).catch(() => undefined);
    if (answer.status >= 400) Object.assign(report, judgeRefusal(request, answer));
    return answer;
  }

  return {
    async send(request) {
      const report: Report = { status: null, durationMs: 0, permitWaitMs: 0, traceId: null };
      try {
        return await gate.run(request.call, () => sendNow(request, report));
      } catch (thrown) {
        const clean = cleanError(thrown, request);
        if (clean instanceof SyncError) report.error = clean.type;
        throw clean;
      } finally {
        options.onRequest?.({
          operation: request.operation,
          accountId: request.call.accountId,
          method: request.method,
          route: request.route,
          ...report,
          ...(request.offerId === undefined ? {} : { offerId: request.offerId }),
          ...toldOf(request.call),
        });
      }
    },
    async peek(quotas, arriving) {
      try {
        return await options.limiter.peek(quotas, { arriving, maxInlineWaitMs: options.maxInlineWaitMs });
      } catch (error) {
        throw error instanceof LimiterUnavailable ? limiterAway() : error;
      }
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

interface Report {
  status: number | null;
  durationMs: number;
  permitWaitMs: number;
  traceId: string | null;
  error?: SyncErrorType;
  errorCode?: string;
}

function toldOf({ runId, sku, attempt }: HttpRequest['call']): Pick<RequestReport, 'runId' | 'sku' | 'attempt'> {
  return {
    ...(runId === undefined ? {} : { runId }),
    ...(sku === undefined ? {} : { sku }),
    ...(attempt === undefined ? {} : { attempt }),
  };
}

/** The answer is the caller's to act on; the report says what it means already. */
function judgeRefusal(request: HttpRequest, { status, body }: HttpAnswer): Pick<Report, 'error' | 'errorCode'> {
  const { code } = parseProblem(body);
  const error = findErrorRule({ kind: request.kind, status, code }).type;
  const errorCode = shownCode(request, body);
  return errorCode === null ? { error } : { error, errorCode };
}

/** Allegro's code as it may be shown; null: none, or one that repeats what was sent. */
function shownCode(request: HttpRequest, body: string): string | null {
  const { code } = parseProblem(body);
  const sent = [request.headers['authorization'], request.body];
  return code === null || sent.some((text) => text?.includes(code)) ? null : redact(code, []);
}

/** Writes to offers; OAuth's POSTs change nothing that is for sale. */
function isWrite(request: HttpRequest): boolean {
  return request.kind === 'offer_write' || request.kind === 'command_write';
}

/** Asked after every wait, right before the request is written: a process may have been stopped in any of them. */
function refuseLate(request: HttpRequest): void {
  const { sendBy } = request.call;
  if (!isWrite(request) || sendBy === undefined) return;
  const lateMs = Math.round(performance.now() - sendBy);
  if (lateMs <= 0) return;
  throw new SyncError('DependencyUnavailable', `${request.operation}: not sent, ${lateMs} ms too late for its number.`);
}

/** Errors of a connection that was never made: the request has not been sent. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function toTransportError(error: unknown, request: HttpRequest): SyncError {
  if (error instanceof TimeoutError) {
    return transportError(error.event === 'connect' ? 'unreachable' : 'timeout', isWrite(request), request.operation);
  }
  const isUnreachable = error instanceof RequestError && NOT_CONNECTED.has(error.code);
  return transportError(isUnreachable ? 'unreachable' : 'cut', isWrite(request), request.operation);
}

/** Nothing but SyncErrors and the caller's own reason to stop may leave: other errors may hold what was sent. */
function cleanError(error: unknown, request: HttpRequest): unknown {
  if (error instanceof SyncError) return error;
  if (request.call.signal?.aborted === true) return request.call.signal.reason;
  if (error instanceof LimiterUnavailable) return limiterAway();
  // A quota that cannot be kept and the like: a fault of ours, whose message holds no header.
  if (error instanceof RangeError) return error;
  return new SyncError('DependencyUnavailable', `${request.operation}: the request could not be prepared.`);
}

function limiterAway(): SyncError {
  return new SyncError('DependencyUnavailable', 'The rate limiter cannot be asked: Redis does not answer.');
}
