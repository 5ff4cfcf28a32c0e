export interface ReadinessChecks {
  /** Each rejects when the part cannot be reached. */
  readonly temporal: () => Promise<void>;
  readonly postgres: () => Promise<void>;
  readonly redis: () => Promise<void>;
  /** null: permits can be had; else what is wrong. A blocked limiter is shown, it does not make us unready. */
  readonly limiter: () => Promise<string | null>;
  /** Takes secrets out of a text: drivers put addresses into their errors. */
  readonly scrub: (text: string) => string;
}

export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  readonly checks: Readonly<Record<'temporal' | 'postgres' | 'redis', PartState>>;
  readonly limiter: { readonly ok: boolean; readonly reason: string | null };
}

export interface PartState {
  readonly ok: boolean;
  /** null: reachable. */
  readonly reason: string | null;
  readonly durationMs: number;
}

/** A part that hangs is not reachable; less than the 5 s that a request here may take. */
const CHECK_TIMEOUT_MS = 3000;

export async function checkReadiness(checks: ReadinessChecks): Promise<Readiness> {
  const [temporal, postgres, redis, limiter] = await Promise.all([
    checkPart(checks.temporal, checks.scrub),
    checkPart(checks.postgres, checks.scrub),
    checkPart(checks.redis, checks.scrub),
    checkLimiter(checks),
  ]);
  const isReady = temporal.ok && postgres.ok && redis.ok;
  return { status: isReady ? 'ready' : 'not_ready', checks: { temporal, postgres, redis }, limiter };
}

async function checkPart(check: () => Promise<void>, scrub: (text: string) => string): Promise<PartState> {
  const start = performance.now();
  let reason: string | null = null;
  try {
    await withTimeout(check);
  } catch (error) {
    reason = scrub(reasonOf(error));
  }
  return { ok: reason === null, reason, durationMs: Math.round(performance.now() - start) };
}

async function checkLimiter(checks: ReadinessChecks): Promise<Readiness['limiter']> {
  try {
    const trouble = await withTimeout(checks.limiter);
    return { ok: trouble === null, reason: trouble === null ? null : checks.scrub(trouble) };
  } catch (error) {
    return { ok: false, reason: checks.scrub(reasonOf(error)) };
  }
}

async function withTimeout<Result>(check: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([check(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

const LONGEST_REASON = 200;

/** The error's own message; errors that stand for several attempts have none, but a code. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown error';
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return (message || code || 'unknown error').slice(0, LONGEST_REASON);
}
