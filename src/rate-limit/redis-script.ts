import { createHash, randomUUID } from 'node:crypto';
import { isCounted, type Quota } from './pace.js';

/** Redis could not be asked: nothing may be sent. */
export class LimiterUnavailable extends Error {
  override readonly name = 'LimiterUnavailable';
}

export type Operation = 'take' | 'peek' | 'penalise' | 'answered' | 'unanswered' | 'usage' | 'restore' | 'hello';

export interface ScriptCall {
  operation: Operation;
  quotas: readonly Quota[];
  /** Arguments of the operation, as `permit-script.ts` says. */
  first?: number;
  second?: string;
}

export interface ScriptAnswer {
  epoch: string;
  /** What the latest loss of state left known: permits older than this are still counted. Infinity ≈ nothing. */
  knownAgeMs: number;
  /** What the operation says; times in µs. */
  numbers: number[];
}

/** What is used of an ioredis connection. */
export interface ScriptRedis {
  readonly status: string;
  evalsha(sha: string, keyCount: number, ...keysAndValues: string[]): Promise<unknown>;
  eval(script: string, keyCount: number, ...keysAndValues: string[]): Promise<unknown>;
  info(section: 'server'): Promise<string>;
  on(event: 'ready', listener: () => void): unknown;
  off(event: 'ready', listener: () => void): unknown;
}

export interface PermitScriptOptions {
  redis: ScriptRedis;
  clientId: string;
  /** Text of the script; tests give one with another clock. */
  script: string;
  /** Pause after lost state, ms. */
  pauseMs: number;
  /** How long Redis may take to answer, ms. */
  timeoutMs: number;
}

export interface PermitScript {
  /** One round trip. Throws LimiterUnavailable when Redis does not answer in time or answers with an error. */
  call(call: ScriptCall): Promise<ScriptAnswer>;
  close(): void;
}

/** Runs the permit script by its SHA, loading it when Redis does not know it. */
export function createPermitScript(options: PermitScriptOptions): PermitScript {
  const { redis, script } = options;
  const sha = createHash('sha1').update(script).digest('hex');
  // Braces make all keys of a Client ID one cluster slot.
  const prefix = `allegro_rate_limit:{${options.clientId}}`;
  let serverRun: Promise<string> | null = null;

  // A restarted server may have come back with an old snapshot; its run id is what tells.
  const forgetServer = (): void => {
    serverRun = null;
  };
  redis.on('ready', forgetServer);

  async function evaluate(values: string[], keys: string[]): Promise<unknown> {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...values);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await redis.eval(script, keys.length, ...keys, ...values);
    }
  }

  async function run(call: ScriptCall): Promise<ScriptAnswer> {
    serverRun ??= readRunId(redis);
    const keys = [`${prefix}:state`, ...call.quotas.map((quota) => `${prefix}:scope:${quota.scope}`)];
    const head = [call.operation, await serverRun, micros(options.pauseMs), randomUUID()];
    const values = [...head, String(call.first ?? 0), call.second ?? '', ...call.quotas.flatMap(quotaValues)];
    return parseAnswer(await evaluate(values, keys));
  }

  return {
    async call(call) {
      try {
        // Commands queued while the server is away would take permits for nobody when it is back.
        if (AWAY.has(redis.status)) throw new Error('not connected');
        return await withDeadline(run(call), options.timeoutMs);
      } catch (error) {
        forgetServer();
        const reason = error instanceof Error ? error.message : String(error);
        throw new LimiterUnavailable(`rate limiter cannot ask Redis (${redis.status}): ${reason}`, { cause: error });
      }
    },
    close() {
      redis.off('ready', forgetServer);
    },
  };
}

const AWAY: ReadonlySet<string> = new Set(['reconnecting', 'close', 'end']);

/** Whole microseconds as the script wants them. */
export function micros(ms: number): string {
  return String(Math.round(ms * 1000));
}

function quotaValues(quota: Quota): string[] {
  return [
    String(quota.limit),
    micros(quota.windowMs),
    String(quota.weight),
    String(quota.maxWeight),
    isCounted(quota) ? '1' : '0',
  ];
}

async function readRunId(redis: ScriptRedis): Promise<string> {
  return /run_id:(\w+)/.exec(await redis.info('server'))?.[1] ?? 'unknown';
}

function parseAnswer(answer: unknown): ScriptAnswer {
  if (!Array.isArray(answer)) throw new Error('the permit script answered with something else than a list');
  const values: unknown[] = answer;
  const [epoch, ...rest] = values;
  const [knownAge, ...numbers] = rest.map(Number);
  if (typeof epoch !== 'string' || knownAge === undefined || ![knownAge, ...numbers].every(Number.isFinite)) {
    throw new Error('the permit script answered with something else than numbers');
  }
  return { epoch, knownAgeMs: knownAge / 1000, numbers };
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => reject(new Error(`no answer within ${timeoutMs} ms`));
    // A process that was held up reads first what has arrived meanwhile.
    timer = setTimeout(() => setImmediate(giveUp), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
