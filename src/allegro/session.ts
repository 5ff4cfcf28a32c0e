import type { z } from 'zod';
import { SyncError, type ErrorFacts } from '../domain/errors.js';
import { toSellerId, type AccountId, type OfferId, type SellerId } from '../domain/ids.js';
import type { Call, Seller } from '../domain/marketplace.js';
import type { TokenStore } from '../domain/token-store.js';
import type { Quota } from '../rate-limit/limiter.js';
import { meSchema, parseAnswer, parseProblem } from './answers.js';
import type { AnswerKind } from './error-table.js';
import { answerError } from './errors.js';
import { PUBLIC_MEDIA_TYPE, type HttpAnswer, type HttpClient, type HttpRequest } from './http-client.js';
import type { Quotas } from './quotas.js';
import { redact } from './redact.js';
import type { TokenSource, UsableToken } from './tokens.js';

/** A request in an account's name. */
export interface AccountRequest {
  readonly operation: string;
  readonly kind: AnswerKind;
  readonly method: HttpRequest['method'];
  readonly route: string;
  /** With its query, everything encoded. */
  readonly path: string;
  readonly json?: unknown;
  /** Default: the public one. */
  readonly mediaType?: string;
  readonly quotas: (sellerId: SellerId) => readonly Quota[];
  readonly offerId?: OfferId;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Statuses that are returned; every other one is thrown by the error table. */
  readonly accepts: readonly number[];
}

/**
 * Sends requests with the account's token, and only into the shop that the account is bound to. A 401 is answered by
 * another token, once. Throws what `HttpClient.send` and `TokenSource` throw, the classes of the error table, and
 * `AccountRefused` when the token opens another shop.
 */
export interface Session {
  send(call: Call, request: AccountRequest): Promise<HttpAnswer>;
  /** The parsed body of an answer. @throws SyncError InvalidAnswer */
  parse<Schema extends z.ZodType>(schema: Schema, request: AccountRequest, answer: HttpAnswer): z.output<Schema>;
  /** Asks whose shop the token opens, and binds the account to it. */
  identify(call: Call): Promise<Seller>;
  /** The shop the account is bound to, for its quotas. */
  sellerOf(call: Call): Promise<SellerId>;
  /**
   * Binds the account to the seller, or makes sure that it is bound to it. `generation`: of the stored pair that is the
   * seller's. @throws SyncError AccountRefused
   */
  bind(accountId: AccountId, seller: Seller, generation?: number): Promise<Seller>;
  /** Whose shop a token opens that is not stored yet. */
  whoIs(accountId: AccountId, accessToken: string): Promise<Seller>;
  /** The error for an answer that was not accepted. */
  errorOf(request: AccountRequest, answer: HttpAnswer, secrets: readonly string[]): SyncError;
}

export interface SessionOptions {
  readonly http: HttpClient;
  readonly tokens: TokenSource;
  readonly store: Pick<TokenStore, 'bindSeller'>;
  readonly quotas: Quotas;
}

/** A check is void when another pair was stored meanwhile; that happens once in a login, not all the time. */
const MAX_CHECKS = 2;

interface OpenToken extends UsableToken {
  readonly sellerId: SellerId;
}

export function createSession({ http, tokens, store, quotas }: SessionOptions): Session {
  const checking = new Map<string, Promise<Seller>>();

  const meRequest: AccountRequest = {
    operation: 'identify',
    kind: 'account_read',
    method: 'GET',
    route: '/me',
    path: '/me',
    quotas: () => quotas.application,
    timeoutMs: 15_000,
    maxBytes: 256 * 1024,
    accepts: [200],
  };

  function exchange(call: Call, request: AccountRequest, token: UsableToken, quota: readonly Quota[]) {
    const mediaType = request.mediaType ?? PUBLIC_MEDIA_TYPE;
    return http.send({
      operation: request.operation,
      kind: request.kind,
      method: request.method,
      host: 'api',
      route: request.route,
      path: request.path,
      headers: {
        accept: mediaType,
        authorization: `Bearer ${token.accessToken}`,
        // The words of errors are kept for the seller; one language makes them comparable.
        'accept-language': 'en-US',
        ...(request.json === undefined ? {} : { 'content-type': mediaType }),
      },
      ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
      quotas: quota,
      call,
      ...(request.offerId === undefined ? {} : { offerId: request.offerId }),
      timeoutMs: request.timeoutMs,
      maxBytes: request.maxBytes,
    });
  }

  function errorOf(request: AccountRequest, answer: HttpAnswer, secrets: readonly string[]): SyncError {
    const problem = parseProblem(answer.body);
    return answerError({
      kind: request.kind,
      status: answer.status,
      code: problem.code === null ? null : redact(problem.code, secrets),
      message: problem.message === null ? null : redact(problem.message, secrets),
      facts: factsOf(answer),
    });
  }

  function parse<Schema extends z.ZodType>(schema: Schema, request: AccountRequest, answer: HttpAnswer) {
    return parseAnswer(schema, { operation: request.operation, body: answer.body, facts: factsOf(answer) });
  }

  async function askMe(call: Call, token: UsableToken): Promise<Seller | 'refused'> {
    const answer = await exchange(call, meRequest, token, quotas.application);
    if (answer.status === 401) return 'refused';
    if (answer.status !== 200) throw errorOf(meRequest, answer, [token.accessToken]);
    const me = parse(meSchema, meRequest, answer);
    return { sellerId: toSellerId(me.id), login: me.login ?? me.id };
  }

  async function bind(accountId: AccountId, seller: Seller, generation?: number): Promise<Seller> {
    const binding = await store.bindSeller(accountId, seller, generation);
    tokens.forget(accountId);
    if (binding.kind === 'other_seller') {
      throw new SyncError(
        'AccountRefused',
        `The login of account "${accountId}" opens the shop of seller ${seller.sellerId} (${redact(seller.login, [])}), but the account belongs to seller ${binding.boundTo}. Log in as that seller.`,
      );
    }
    if (binding.kind === 'taken') {
      throw new SyncError(
        'AccountRefused',
        `Seller ${seller.sellerId} (${redact(seller.login, [])}) is already connected as account "${binding.by}".`,
      );
    }
    return seller;
  }

  /** Asks whose token it is and binds the account; a refused token is replaced once. */
  async function check(call: Call, first: UsableToken): Promise<Seller> {
    let token = first;
    let seller = await askMe(call, token);
    if (seller === 'refused') {
      token = await tokens.afterRefusal(call.accountId, token.generation);
      seller = await askMe(call, token);
    }
    if (seller === 'refused') throw refusedAgain(meRequest);
    return bind(call.accountId, seller, token.generation);
  }

  function checkOnce(call: Call, token: UsableToken): Promise<Seller> {
    const key = `${call.accountId} ${token.generation}`;
    const underWay = checking.get(key);
    if (underWay !== undefined) return underWay;
    const promise = check(call, token).finally(() => checking.delete(key));
    checking.set(key, promise);
    return promise;
  }

  /** A token whose shop is known to be the account's. */
  async function open(call: Call, refused?: UsableToken): Promise<OpenToken> {
    const take = () =>
      refused === undefined ? tokens.current(call.accountId) : tokens.afterRefusal(call.accountId, refused.generation);
    for (let checks = 0; checks <= MAX_CHECKS; checks += 1) {
      const token = await take();
      if (token.sellerId !== null) return { ...token, sellerId: token.sellerId };
      if (checks < MAX_CHECKS) await checkOnce(call, token);
    }
    throw new SyncError(
      'DependencyUnavailable',
      `The login of account "${call.accountId}" changes too often to be used.`,
    );
  }

  return {
    parse,
    errorOf,
    bind,
    async send(call, request) {
      let token = await open(call);
      let answer = await exchange(call, request, token, request.quotas(token.sellerId));
      if (answer.status === 401) {
        token = await open(call, token);
        answer = await exchange(call, request, token, request.quotas(token.sellerId));
      }
      if (request.accepts.includes(answer.status)) return answer;
      throw errorOf(request, answer, [token.accessToken]);
    },
    async identify(call) {
      return check(call, await tokens.current(call.accountId));
    },
    async sellerOf(call) {
      return (await open(call)).sellerId;
    },
    async whoIs(accountId, accessToken) {
      const call: Call = { accountId, priority: 'adhoc' };
      const seller = await askMe(call, { accessToken, generation: 0, sellerId: null });
      if (seller === 'refused') throw refusedAgain(meRequest);
      return seller;
    },
  };
}

function refusedAgain(request: AccountRequest): SyncError {
  return answerError({ kind: request.kind, status: 401, code: null, message: null });
}

function factsOf(answer: HttpAnswer): ErrorFacts {
  return {
    status: answer.status,
    ...(answer.traceId === null ? {} : { traceId: answer.traceId }),
    ...(answer.retryAfterMs === null ? {} : { retryInMs: answer.retryAfterMs }),
  };
}
