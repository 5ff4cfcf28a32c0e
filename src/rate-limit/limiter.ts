import { randomUUID } from 'node:crypto';
import { ClosedScopes, type Quotas } from './closed-scopes.js';
import type { AcquireOptions, Grant, LimiterEvent, PeekOptions, RateLimiter, Refusal, ScopeUsage } from './contract.js';
import { checkQuota, unitSpacingMs, type Quota } from './pace.js';
import { LOOK_AHEAD_MS, PERMIT_SCRIPT } from './permit-script.js';
import {
  createPermitScript,
  LimiterUnavailable,
  micros,
  type PermitScript,
  type ScriptAnswer,
  type ScriptRedis,
} from './redis-script.js';
import { SendTimes, sleepUntil } from './send-times.js';
import { SpentRecord } from './spent-record.js';
import { WaitingLine, type InLine, type Priority } from './waiting-line.js';

export type * from './contract.js';
export { LimiterUnavailable, type Priority, type Quota };

export interface RateLimiterOptions {
  /** An ioredis connection with a bounded `maxRetriesPerRequest`; it stays the caller's. */
  redis: ScriptRedis;
  clientId: string;
  onEvent?: (event: LimiterEvent) => void;
  /** The rest is for tests. */
  script?: string;
  /** Before the first permit after lost state. Default 3000: a permit may be 2 s ahead and live 1 s. */
  pauseMs?: number;
  /** Within which Redis must answer. Default 1500. */
  timeoutMs?: number;
  random?: () => number;
}

interface Waiter extends InLine {
  readonly quotas: Quotas;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly abort: () => void;
  readonly settle: (outcome: Grant | Refusal) => void;
  readonly fail: (error: Error) => void;
  /** Settled in any way, or aborted. */
  done: boolean;
}

const PERMIT_LIFE_MS = 1000;
/** Permits are never further ahead, whatever the caller would wait: the pause after lost state rests on it. */
const MAX_AHEAD_MS = 2000;
const DEFAULT_INLINE_WAIT_MS = 2000;
const DEFAULT_BLOCK_MS = 60_000;
const BLOCK_JITTER_MS = 5000;

/**
 * Permits a process may hold or ask for at once: always two for each account that waits in it, so that another
 * process's big account cannot shut them out …
 */
const OUTSTANDING_PER_PARTY = 2;
const MOST_FOR_PARTIES = 32;
/** … and more only while they lie near, so that whoever is urgent need not queue behind permits already taken. */
const MAX_OUTSTANDING = 64;
/** Unanswered ones, whose permits may lie anywhere: one where the last one lay far ahead, several where it lay near. */
const MAX_ASKING = 8;

/** How soon every process notices lost state, and how often it tells who waits: well within the pause. */
const HEARTBEAT_MS = 1000;

export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const script = createPermitScript({
    redis: options.redis,
    clientId: options.clientId,
    script: options.script ?? PERMIT_SCRIPT,
    pauseMs: options.pauseMs ?? 3000,
    timeoutMs: options.timeoutMs ?? 1500,
  });
  return new SharedRateLimiter(script, options.onEvent ?? (() => undefined), options.random ?? Math.random);
}

class SharedRateLimiter implements RateLimiter {
  private readonly line = new WaitingLine<Waiter>();
  private readonly spent = new SpentRecord();
  private readonly closed = new ClosedScopes();
  private readonly sendTimes = new SendTimes();
  private readonly name = randomUUID();
  private readonly heartbeat: NodeJS.Timeout;
  private epoch: string | null = null;
  private outstanding = 0;
  private asking = 0;
  private pumpIsDue = false;
  private horizonMs = 0;
  private newestWaitMs = 0;
  private wakeUp: NodeJS.Timeout | undefined;
  private wakesAtMs = Infinity;

  constructor(
    private readonly script: PermitScript,
    private readonly tell: (event: LimiterEvent) => void,
    private readonly random: () => number,
  ) {
    this.heartbeat = setInterval(() => void this.findTrouble(), HEARTBEAT_MS).unref();
  }

  acquire(quotas: readonly Quota[], options: AcquireOptions = {}): Promise<Grant | Refusal> {
    const [first, ...further] = quotas;
    if (first === undefined) return Promise.reject(new RangeError('a permit needs at least one quota'));
    try {
      quotas.forEach(checkQuota);
    } catch (error) {
      return Promise.reject(asError(error));
    }
    if (options.signal?.aborted === true) return Promise.reject(reasonOf(options.signal));
    return new Promise((settle, fail) => {
      const now = performance.now();
      const waiter: Waiter = {
        quotas: [first, ...further],
        priority: options.priority ?? 'scheduled',
        party: options.party ?? further.map((quota) => quota.scope).join(' '),
        sinceMs: now,
        deadlineMs: now + (options.maxInlineWaitMs ?? DEFAULT_INLINE_WAIT_MS),
        signal: options.signal,
        abort: () => this.finish(waiter, () => fail(reasonOf(options.signal))),
        done: false,
        settle,
        fail,
      };
      options.signal?.addEventListener('abort', waiter.abort, { once: true });
      this.line.add(waiter);
      this.pumpSoon();
    });
  }

  async peek(quotas: readonly Quota[], options: PeekOptions = {}): Promise<{ waitMs: number; scope: string | null }> {
    const { arriving: first = 0, maxInlineWaitMs = DEFAULT_INLINE_WAIT_MS } = options;
    const { numbers } = await this.ask('peek', quotas, { first, second: micros(maxInlineWaitMs) });
    const waitMs = Math.ceil((numbers[0] ?? 0) / 1000);
    return { waitMs, scope: waitMs === 0 ? null : (quotas[numbers[1] ?? 0]?.scope ?? null) };
  }

  async penalise(quotas: readonly Quota[], retryAfterMs: number | null): Promise<void> {
    const blockMs = retryAfterMs ?? DEFAULT_BLOCK_MS + this.random() * BLOCK_JITTER_MS;
    // At once and for all its scopes: which of them is meant is known only when Redis has answered.
    const now = performance.now();
    const takeBack = quotas.map((quota) => this.closed.block(quota, now + blockMs));
    const { numbers } = await this.ask('penalise', quotas, { first: Math.round(blockMs * 1000) });
    quotas.forEach(({ scope, limit }, index) => {
      const [blockedUs = 0, assumedLimit = 0, lowered = 0] = numbers.slice(index * 3);
      if (blockedUs === 0) return takeBack[index]?.();
      this.tell({ kind: 'penalised', scope, blockedForMs: Math.ceil(blockedUs / 1000) });
      if (lowered === 1) this.tell({ kind: 'assumed_limit_lowered', scope, limit, assumedLimit });
    });
    this.pump();
  }

  answered(quotas: readonly Quota[]): Promise<void> {
    return this.tellOfProbe('answered', quotas);
  }

  unanswered(quotas: readonly Quota[]): Promise<void> {
    return this.tellOfProbe('unanswered', quotas);
  }

  private async tellOfProbe(outcome: 'answered' | 'unanswered', quotas: readonly Quota[]): Promise<void> {
    await this.ask(outcome, quotas);
    for (const { scope } of quotas) this.closed.resume(scope);
    this.pump();
  }

  async usage(quotas: readonly Quota[]): Promise<ScopeUsage[]> {
    const { numbers } = await this.ask('usage', quotas);
    return quotas.map(({ scope, limit }, index) => {
      const [usedInWindow = 0, blockedUs = 0, assumedLimit = limit] = numbers.slice(index * 3);
      return { scope, limit, usedInWindow, blockedForMs: Math.ceil(blockedUs / 1000), assumedLimit };
    });
  }

  async findTrouble(): Promise<string | null> {
    try {
      await this.ask('hello', [], { first: this.line.size + this.outstanding, second: this.name });
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  close(): void {
    clearInterval(this.heartbeat);
    clearTimeout(this.wakeUp);
    this.failAll(new LimiterUnavailable('rate limiter is closed'));
    this.script.close();
  }

  /** Answers come in batches; one look at the line serves all of them. */
  private pumpSoon(): void {
    if (this.pumpIsDue) return;
    this.pumpIsDue = true;
    queueMicrotask(() => this.pump());
  }

  /** Asks for whoever is next while there is somebody who may go and the permits taken so far lie near. */
  private pump(): void {
    const now = performance.now();
    this.pumpIsDue = false;
    this.closed.forget(now);
    while (this.mayAsk(now)) {
      const waiter = this.line.next(now, ({ quotas }) => this.closed.opensAt(quotas).atMs <= now);
      if (waiter === undefined) break;
      this.outstanding += 1;
      void this.serve(waiter)
        .catch((error: unknown) => {
          this.finish(waiter, () => waiter.fail(asError(error)));
          this.failAll(asError(error));
        })
        .finally(() => {
          this.outstanding -= 1;
          this.pumpSoon();
        });
    }
    this.refuseOverdue(now);
  }

  private mayAsk(now: number): boolean {
    const fair = Math.min(MOST_FOR_PARTIES, this.line.parties * OUTSTANDING_PER_PARTY);
    if (this.outstanding < fair) return true;
    const asking = this.newestWaitMs < LOOK_AHEAD_MS / 2 ? MAX_ASKING : 1;
    return this.outstanding < MAX_OUTSTANDING && this.asking < asking && this.horizonMs < now + LOOK_AHEAD_MS;
  }

  private async serve(waiter: Waiter): Promise<void> {
    const { quotas } = waiter;
    const askedMs = performance.now();
    const aheadMs = Math.min(MAX_AHEAD_MS, Math.max(0, waiter.deadlineMs - askedMs));
    this.asking += 1;
    const asked = this.ask('take', quotas, { first: Math.round(aheadMs * 1000) });
    const { numbers } = await asked.finally(() => (this.asking -= 1));
    const answeredMs = performance.now();
    const [granted, waitUs = 0, third = 0, fourth = 0, pauseUs = 0] = numbers;
    if (granted !== 1) {
      const scope = quotas[third]?.scope ?? '';
      this.turnAway(waiter, { scope, waitMs: waitUs / 1000, reason: fourth, pauseMs: pauseUs / 1000 });
      return;
    }
    // Redis decided between asking and answer: not before the latest, valid counted from the earliest it can have been.
    const sendMs = answeredMs + waitUs / 1000;
    const expiresMs = askedMs + (waitUs - third) / 1000 + PERMIT_LIFE_MS;
    this.spent.record(quotas, sendMs);
    this.horizonMs = Math.max(this.horizonMs, sendMs);
    this.newestWaitMs = waitUs / 1000;
    this.pumpSoon();
    const isFresh = (): boolean => performance.now() < expiresMs && !this.closed.isBlocked(quotas);
    await sleepUntil(sendMs);
    if (isFresh()) await this.sendTimes.pace(sendMs);
    const isProbe = fourth === 1;
    const isOver = !isFresh();
    // A probe that nobody sends is given back, so that the next request is one.
    if (isProbe && (isOver || waiter.done)) await this.unanswered(quotas);
    if (isOver) {
      this.tell({ kind: 'permit_dropped', reason: this.closed.isBlocked(quotas) ? 'penalty' : 'late' });
      this.line.recordServed(waiter.party, performance.now(), -1);
      if (!waiter.done) this.line.add(waiter);
      return;
    }
    this.finish(waiter, () => {
      const waitMs = Math.round(performance.now() - waiter.sinceMs);
      waiter.settle({ kind: 'granted', waitMs, probe: isProbe, isFresh });
    });
  }

  /** Back into the line if the wait fits into the waiter's time, else refused. */
  private turnAway(waiter: Waiter, no: { scope: string; waitMs: number; reason: number; pauseMs: number }): void {
    const now = performance.now();
    const quota = waiter.quotas.find(({ scope }) => scope === no.scope);
    this.line.recordServed(waiter.party, now, -1);
    if (no.reason === BLOCKED && quota !== undefined) this.closed.block(quota, now + no.waitMs);
    if (no.pauseMs > 0) this.closed.pause(no.scope, now + no.pauseMs);
    if (now + no.waitMs <= waiter.deadlineMs) {
      if (!waiter.done) this.line.add(waiter);
      return;
    }
    const reason = no.reason === 0 ? 'quota' : 'penalty';
    const retryInMs = Math.max(1, Math.ceil(no.waitMs));
    this.finish(waiter, () => waiter.settle({ kind: 'refused', retryInMs, scope: no.scope, reason }));
  }

  /** Whoever cannot be served in time is told now rather than at the deadline; looks again when that may change. */
  private refuseOverdue(now: number): void {
    let nextLookMs = Infinity;
    for (const waiter of this.line) {
      const { quotas, deadlineMs } = waiter;
      const { atMs, quota } = this.closed.opensAt(quotas);
      if (atMs <= deadlineMs && now < deadlineMs) {
        nextLookMs = Math.min(nextLookMs, atMs > now ? atMs : deadlineMs);
        continue;
      }
      const queueMs = this.line.size * unitSpacingMs(quota) * quota.weight;
      const retryInMs = Math.max(1, Math.ceil(atMs > now ? atMs - now : queueMs));
      const reason = this.closed.isBlocked(quotas) ? 'penalty' : 'quota';
      this.finish(waiter, () => waiter.settle({ kind: 'refused', retryInMs, scope: quota.scope, reason }));
    }
    if (nextLookMs >= this.wakesAtMs) return;
    clearTimeout(this.wakeUp);
    this.wakesAtMs = nextLookMs;
    this.wakeUp = setTimeout(
      () => {
        this.wakesAtMs = Infinity;
        this.pump();
      },
      Math.max(1, Math.ceil(nextLookMs - now)),
    );
  }

  private async ask(
    operation: 'take' | 'peek' | 'penalise' | 'answered' | 'unanswered' | 'usage' | 'hello',
    quotas: readonly Quota[],
    argument: { first?: number; second?: string } = {},
  ): Promise<ScriptAnswer> {
    const answer = await this.script.call({ operation, quotas, ...argument });
    await this.noticeEpoch(answer);
    return answer;
  }

  /** A new epoch means that Redis lost its state: it is told what this process has spent, within the pause. */
  private async noticeEpoch({ epoch, knownAgeMs }: ScriptAnswer): Promise<void> {
    const before = this.epoch;
    this.epoch = epoch;
    if (before === null || before === epoch) return;
    const now = performance.now();
    const spent = this.spent.youngerThan(knownAgeMs, now);
    const blocked = this.closed.blocked(now);
    try {
      for (const { quota, spent: second } of spent) {
        await this.script.call({ operation: 'restore', quotas: [quota], second });
      }
      for (const { quota, untilMs } of blocked) {
        const first = Math.max(0, Math.round((untilMs - performance.now()) * 1000));
        await this.script.call({ operation: 'restore', quotas: [quota], first });
      }
    } catch (error) {
      this.epoch = before; // The next answer finds the epoch new again and restores from the start.
      throw error;
    }
    const restoredScopes = [...spent, ...blocked].map(({ quota }) => quota.scope);
    this.tell({ kind: 'state_lost', restoredScopes: [...new Set(restoredScopes)] });
  }

  private finish(waiter: Waiter, how: () => void): void {
    this.line.remove(waiter);
    if (waiter.done) return;
    waiter.done = true;
    waiter.signal?.removeEventListener('abort', waiter.abort);
    how();
  }

  private failAll(error: Error): void {
    for (const waiter of this.line) this.finish(waiter, () => waiter.fail(error));
  }
}

/** Reason of the permit script for a scope in a penalty; 0 is the quota itself, 2 a probe that is out. */
const BLOCKED = 1;

function reasonOf(signal: AbortSignal | undefined): Error {
  return asError(signal?.reason);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
