import type { IncomingHttpHeaders } from 'node:http';

import type { Answer } from './answer.js';
import { errorAnswer } from './answer.js';
import { answerApi } from './api.js';
import type { Fault } from './faults.js';
import { retype } from './faults.js';
import type { JournalEntry } from './journal.js';
import { normal } from './random.js';
import { matchRoute, routeTemplate } from './routes.js';
import type { Simulation } from './simulation.js';
import type { TokenCheck } from './tokens.js';

/** `Name/1.2.3 (+https://…)`: required of every request since July 2026 (allegro-api #13126, #13271). */
const USER_AGENT = /^[A-Za-z0-9][\w.-]*\/\d+(\.\d+)* \(\+https?:\/\/[^\s()]+\)$/;
/** z of the 99th percentile: turns p50 and p99 into the shape of a log-normal distribution. */
const Z99 = 2.326;

/** A request as it came, read in full. */
export interface Incoming {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly baseUrl: string;
}

/** The caller's end of the connection. */
export interface Caller {
  readonly isWaiting: () => boolean;
  readonly send: (answer: Answer) => void;
  /** Sends the headers of an answer and half of its body, then closes the connection. */
  readonly sendHalf: (answer: Answer) => void;
  readonly cut: () => void;
}

/** Takes one request of Allegro's API or OAuth from arrival to answer, with limits, planted faults, latency and journal. */
export class Exchange {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  take(incoming: Incoming, caller: Caller): void {
    const { clock, journal, report } = this.#simulation;
    const isAuth = incoming.path.startsWith('/auth/');
    const route = isAuth ? undefined : matchRoute(incoming.method, incoming.path);
    const userAgent = incoming.headers['user-agent'] ?? '';
    const entry = journal.open({
      at: clock.now(),
      method: incoming.method,
      route: route ? routeTemplate(route.name) : isAuth ? incoming.path : '(unknown)',
      path: incoming.path,
      userAgentOk: USER_AGENT.test(userAgent),
    });
    if (!entry.userAgentOk) report.noteMistake('bad_user_agent', `${incoming.method} ${entry.route}: ${userAgent}`);
    const token = /^Bearer (.+)$/i.exec(incoming.headers.authorization ?? '')?.[1];
    const check: TokenCheck = token === undefined ? { kind: 'unknown' } : this.#simulation.tokens.check(token);
    if (check.kind === 'valid') entry.sellerId = check.sellerId;
    if (isAuth) this.#identifyRefresher(incoming, entry);
    else entry.clientId = check.kind === 'unknown' ? 'unknown' : check.clientId;
    if (route && route.offerId !== '') entry.offerIds = [route.offerId];
    journal.mark(entry, 'received');

    const isAdmitted =
      isAuth || check.kind === 'unknown' || this.#simulation.applicationLimit.admit(check.clientId, clock.now());
    const fault = isAdmitted ? this.#simulation.faults.pick(entry, incoming.body) : undefined;
    if (fault) {
      entry.fault = fault.kind;
      report.noteFault(fault.kind);
    }
    const process = (): Answer => {
      if (!isAdmitted) return tooManyRequests();
      const answer = isAuth
        ? this.#simulation.oauth.answer({ ...incoming, entry })
        : answerApi(this.#simulation, {
            ...incoming,
            route,
            token,
            check,
            entry,
            stallMs: fault?.kind === 'stall' ? (fault.ms ?? Infinity) : 0,
            bend: { duplicate: fault?.kind === 'duplicateEvents', reorder: fault?.kind === 'reorderEvents' },
          });
      // What is processed later marks its effect itself.
      if (answer.status !== 202 && answer.status !== 201) journal.mark(entry, 'applied');
      return answer;
    };
    this.#play({ incoming, entry, caller, fault, process });
  }

  #play(turn: Turn): void {
    const { fault, process } = turn;
    const latencyMs = this.#latencyMs();
    if (latencyMs > 0) {
      setTimeout(() => {
        const finish = this.#act(turn);
        setTimeout(finish, latencyMs / 2);
      }, latencyMs / 2);
      return;
    }
    if (!fault) {
      this.#send(turn, process());
      return;
    }
    this.#act(turn)();
  }

  /** Does what the request asks for as far as the fault lets it. @returns what remains: the answer. */
  #act(turn: Turn): () => void {
    const { fault, process, caller, entry, incoming } = turn;
    const answerWith = (answer: Answer, applies: boolean | undefined): (() => void) => {
      if (applies === true) process();
      return () => this.#send(turn, answer);
    };
    switch (fault?.kind) {
      case 'status':
        return answerWith(statusAnswer(fault), fault.applied);
      case 'html':
        return answerWith(htmlAnswer(fault.status ?? 503), fault.applied);
      case 'tooMany':
        return answerWith(tooManyRequests(fault.retryAfter, fault.code), false);
      case 'echo':
        return answerWith(echoAnswer(incoming), false);
      case 'cutBefore':
        return () => this.#cut(turn, () => caller.cut());
      case 'cutAfter':
        process();
        return () => this.#cut(turn, () => caller.cut());
      case 'cutMiddle': {
        const answer = process();
        return () => this.#cut(turn, () => caller.sendHalf(answer));
      }
      case 'truncate': {
        const answer = process();
        return () => this.#send(turn, { ...answer, body: answer.body.slice(0, answer.body.length / 2) });
      }
      case 'wrongTypes': {
        const answer = process();
        return () => this.#send(turn, { ...answer, body: retype(answer.body, fault.path, fault.value) });
      }
      case 'hang': {
        const early = fault.applied === true ? process() : undefined;
        return () =>
          this.#simulation.clock.after(fault.ms, () => {
            const isGone = !caller.isWaiting();
            const answer = early ?? (isGone && fault.late !== true ? undefined : process());
            if (isGone || !answer) this.#cut(turn, () => caller.cut());
            else this.#send(turn, answer);
          });
      }
      default: {
        const answer = process();
        return () => this.#send({ ...turn, entry }, answer);
      }
    }
  }

  #send(turn: Turn, answer: Answer): void {
    turn.entry.status = answer.status;
    this.#close(turn.entry);
    turn.caller.send(answer);
  }

  #cut(turn: Turn, cut: () => void): void {
    turn.entry.status = -1;
    this.#close(turn.entry);
    cut();
  }

  #close(entry: JournalEntry): void {
    entry.durationMs = this.#simulation.clock.now() - entry.at;
    this.#simulation.report.noteAnswer(entry);
    this.#simulation.journal.mark(entry, 'answered');
  }

  /** So that a fault can be planted into one seller's refresh. */
  #identifyRefresher({ body, query }: Incoming, entry: JournalEntry): void {
    const refreshToken = new URLSearchParams(body === '' ? query : body).get('refresh_token');
    if (refreshToken !== null) entry.sellerId = this.#simulation.tokens.sellerOfRefreshToken(refreshToken) ?? null;
  }

  #latencyMs(): number {
    const { latency } = this.#simulation.settings;
    if (!latency) return 0;
    const spread = Math.log(latency.p99Ms / latency.p50Ms) / Z99;
    return latency.p50Ms * Math.exp(spread * normal(Math.random));
  }
}

interface Turn {
  readonly incoming: Incoming;
  readonly entry: JournalEntry;
  readonly caller: Caller;
  readonly fault: Fault | undefined;
  readonly process: () => Answer;
}

function tooManyRequests(retryAfter?: number, code = 'TOO_MANY_REQUESTS'): Answer {
  const answer = errorAnswer(
    429,
    code,
    'The maximum number of queries per user has been exceeded. Try again in a few moments.',
  );
  return retryAfter === undefined ? answer : { ...answer, headers: { 'Retry-After': String(retryAfter) } };
}

function statusAnswer(fault: Extract<Fault, { kind: 'status' }>): Answer {
  const { status, body, headers } = fault;
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? defaultBody(status));
  return headers ? { status, body: text, headers } : { status, body: text };
}

function defaultBody(status: number): unknown {
  const code =
    status === 504 ? 'ServiceTimeoutException' : status >= 500 ? 'ServiceUnavailableException' : 'PlantedException';
  return {
    errors: [{ code, message: `Planted answer ${status}`, details: null, path: null, userMessage: 'Planted answer' }],
  };
}

function htmlAnswer(status: number): Answer {
  return {
    status,
    body: `<html><head><title>${status} Service Unavailable</title></head><body><h1>${status}</h1><p>upstream connect error</p></body></html>`,
    contentType: 'text/html; charset=utf-8',
  };
}

function echoAnswer({ method, path, headers }: Incoming): Answer {
  const message = `Unexpected error while handling ${method} ${path} with headers ${JSON.stringify(headers)}`;
  return errorAnswer(500, 'InternalServerError', message);
}
