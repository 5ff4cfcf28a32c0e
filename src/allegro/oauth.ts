import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { SyncError } from '../domain/errors.js';
import type { AccountId } from '../domain/ids.js';
import type { TokenPair } from '../domain/token-store.js';
import { deviceSchema, parseAnswer, parseProblem, tokenSchema } from './answers.js';
import type { AnswerKind } from './error-table.js';
import { answerError } from './errors.js';
import type { HttpAnswer, HttpClient } from './http-client.js';
import type { Quotas } from './quotas.js';
import { redact } from './redact.js';

/** What the login is asked for; `authorize` shows them to the seller. */
export const ALLEGRO_SCOPES = [
  'allegro:api:sale:offers:read',
  'allegro:api:sale:offers:write',
  'allegro:api:orders:read',
  'allegro:api:profile:read',
] as const;

export interface OAuthOptions {
  readonly http: HttpClient;
  readonly quotas: Quotas;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Milliseconds since 1970; tests put in their own. */
  readonly now?: () => number;
}

/** What the seller is shown, and how to ask whether it has been used. */
export interface DeviceLogin {
  readonly verificationUri: string;
  /** The link with the code filled in. */
  readonly verificationUriComplete: string;
  readonly userCode: string;
  readonly expiresAt: Date;
  readonly intervalMs: number;
  /** A secret: whoever holds it gets the tokens. */
  readonly deviceCode: string;
}

/** The calls to `/auth/oauth/*` (tutorial on authorization). Throws only SyncErrors, in which no token appears. */
export interface OAuth {
  /**
   * Exchanges a refresh token for the next pair, once. The old one stays good for 60 s after its first use.
   * @throws SyncError TokenRevoked, ApplicationRefused, RateLimited, MarketplaceUnavailable, InvalidAnswer
   */
  refresh(accountId: AccountId, refreshToken: string): Promise<TokenPair>;
  startDeviceLogin(accountId: AccountId, signal?: AbortSignal): Promise<DeviceLogin>;
  /**
   * Waits until the seller has agreed.
   * @throws SyncError AccountRefused when the seller refused or the link has expired; the signal's reason when aborted
   */
  awaitDeviceLogin(accountId: AccountId, login: DeviceLogin, signal?: AbortSignal): Promise<TokenPair>;
}

const TOKEN_ROUTE = '/auth/oauth/token';
const DEVICE_ROUTE = '/auth/oauth/device';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628 §3.5. */
const SLOW_DOWN_MS = 5_000;
/** The first of several tries within the 60 s in which a refresh may be repeated. */
const TIMEOUT_MS = 15_000;
const MAX_BYTES = 64 * 1024;

export function createOAuth({ http, quotas, clientId, clientSecret, now = Date.now }: OAuthOptions): OAuth {
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');

  async function post(
    accountId: AccountId,
    request: {
      operation: string;
      kind: LoginKind;
      route: string;
      form: Record<string, string>;
      signal?: AbortSignal | undefined;
    },
  ): Promise<HttpAnswer> {
    return http.send({
      operation: request.operation,
      kind: request.kind,
      method: 'POST',
      host: 'auth',
      route: request.route,
      path: request.route,
      headers: {
        accept: 'application/json',
        authorization: `Basic ${basic}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams(request.form).toString(),
      quotas: quotas.forLogin(accountId),
      // A login goes before the work that waits for it.
      call: { accountId, priority: 'danger', ...(request.signal === undefined ? {} : { signal: request.signal }) },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
  }

  function failure(answer: HttpAnswer, kind: LoginKind, secrets: readonly string[]): SyncError {
    const problem = parseProblem(answer.body);
    const all = [...secrets, clientSecret, basic];
    return answerError({
      kind,
      status: answer.status,
      code: problem.code === null ? null : redact(problem.code, all),
      message: problem.message === null ? null : redact(problem.message, all),
    });
  }

  function parse<Schema extends z.ZodType>(schema: Schema, operation: string, answer: HttpAnswer): z.output<Schema> {
    return parseAnswer(schema, { operation, body: answer.body, facts: { status: answer.status } });
  }

  function toPair(operation: string, answer: HttpAnswer): TokenPair {
    const token = parse(tokenSchema, operation, answer);
    return {
      accessToken: token.access_token,
      refreshToken: token.refresh_token,
      accessExpiresAt: new Date(now() + token.expires_in * 1000),
    };
  }

  /** One question; null: not decided yet. */
  async function askDevice(
    accountId: AccountId,
    login: DeviceLogin,
    signal: AbortSignal | undefined,
  ): Promise<{ kind: 'granted'; pair: TokenPair } | { kind: 'wait'; slower: boolean }> {
    const operation = 'awaitDeviceLogin';
    const answer = await post(accountId, {
      operation,
      kind: 'device_login',
      route: TOKEN_ROUTE,
      form: { grant_type: DEVICE_GRANT, device_code: login.deviceCode },
      signal,
    });
    if (answer.status === 200) return { kind: 'granted', pair: toPair(operation, answer) };
    switch (parseProblem(answer.body).code?.toLowerCase()) {
      case 'authorization_pending':
        return { kind: 'wait', slower: false };
      case 'slow_down':
        return { kind: 'wait', slower: true };
      default:
        throw failure(answer, 'device_login', [login.deviceCode]);
    }
  }

  return {
    async refresh(accountId, refreshToken) {
      const operation = 'refreshToken';
      const answer = await post(accountId, {
        operation,
        kind: 'token',
        route: TOKEN_ROUTE,
        form: { grant_type: 'refresh_token', refresh_token: refreshToken },
      });
      if (answer.status !== 200) throw failure(answer, 'token', [refreshToken]);
      return toPair(operation, answer);
    },

    async startDeviceLogin(accountId, signal) {
      const operation = 'startDeviceLogin';
      const answer = await post(accountId, {
        operation,
        kind: 'device_login',
        route: DEVICE_ROUTE,
        form: { client_id: clientId, scope: ALLEGRO_SCOPES.join(' ') },
        signal,
      });
      if (answer.status !== 200) throw failure(answer, 'device_login', []);
      const device = parse(deviceSchema, operation, answer);
      return {
        verificationUri: device.verification_uri,
        verificationUriComplete: device.verification_uri_complete,
        userCode: device.user_code,
        expiresAt: new Date(now() + device.expires_in * 1000),
        intervalMs: device.interval * 1000,
        deviceCode: device.device_code,
      };
    },

    async awaitDeviceLogin(accountId, login, signal) {
      let intervalMs = login.intervalMs;
      let waitMs = intervalMs;
      for (;;) {
        if (now() + waitMs > login.expiresAt.getTime()) throw linkExpired();
        await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
        try {
          const state = await askDevice(accountId, login, signal);
          if (state.kind === 'granted') return state.pair;
          if (state.slower) intervalMs += SLOW_DOWN_MS;
          waitMs = intervalMs;
        } catch (error) {
          // Nobody's answer yet: the seller may still agree.
          if (!(error instanceof SyncError) || !PASSING.has(error.type)) throw error;
          waitMs = Math.max(intervalMs, error.facts.retryInMs ?? 0);
        }
      }
    },
  };
}

type LoginKind = Extract<AnswerKind, 'token' | 'device_login'>;

const PASSING: ReadonlySet<string> = new Set(['MarketplaceUnavailable', 'RateLimited', 'DependencyUnavailable']);

function linkExpired(): SyncError {
  return new SyncError('AccountRefused', 'The login link has expired or was used already: start again.');
}
