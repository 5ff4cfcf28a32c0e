import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { runModelCase, type ModelOptions, type ModelResult } from './limiter-model.js';
import { connectToTestRedis, SCRIPT_WITH_TEST_CLOCK } from './scripted-redis.js';

/** `.ci/run` asks for 10,000; `LIMITER_MODEL_SEED=n` starts elsewhere. */
const CASES = Number(process.env['LIMITER_MODEL_CASES'] ?? 3000);
const FIRST_SEED = Number(process.env['LIMITER_MODEL_SEED'] ?? 1);
/** At once: what Redis answers for one case is waited for while another one asks. */
const LANES = 40;
/** It takes 20 s, and much longer where others use the processors. */
const TIMEOUT_MS = 600_000;

let redis: Redis;

beforeAll(() => {
  redis = connectToTestRedis();
});

afterAll(() => {
  redis.disconnect();
});

interface Summary {
  cases: number;
  grants: number;
  tight: number;
  violations: string[];
}

async function runCases(count: number, options: ModelOptions, stopAtViolation = false): Promise<Summary> {
  const summary: Summary = { cases: 0, grants: 0, tight: 0, violations: [] };
  let next = FIRST_SEED;
  const end = FIRST_SEED + count;
  async function work(): Promise<void> {
    while (next < end && !(stopAtViolation && summary.violations.length > 0)) {
      const seed = next;
      next += 1;
      add(summary, seed, await runModelCase(redis, seed, options));
    }
  }
  await Promise.all(Array.from({ length: LANES }, work));
  return summary;
}

function add(summary: Summary, seed: number, result: ModelResult): void {
  summary.cases += 1;
  summary.grants += result.grants;
  if (result.isTight) summary.tight += 1;
  summary.violations.push(...result.violations.map((violation) => `seed ${seed}: ${violation}`));
}

function changed(from: string, to: string): string {
  const script = SCRIPT_WITH_TEST_CLOCK.replace(from, to);
  if (script === SCRIPT_WITH_TEST_CLOCK) throw new Error(`the script no longer says: ${from}`);
  return script;
}

describe('random schedules of processes, weights, pauses, clock steps and lost state', () => {
  it(
    'never exceed a limit in any window of arrivals',
    async () => {
      const summary = await runCases(CASES, { script: SCRIPT_WITH_TEST_CLOCK });
      expect(summary.violations).toEqual([]);
      expect(summary.cases).toBe(CASES);
      // Not by standing still: permits are given, and windows are filled to the last one.
      expect(summary.grants / CASES).toBeGreaterThan(5);
      expect(summary.tight / CASES).toBeGreaterThan(0.05);
    },
    TIMEOUT_MS,
  );

  it.each<[string, ModelOptions]>([
    ['jitter were not allowed for', { script: changed('= 2000000, ', '= 0, ') }],
    ['the heaviest request were not', { script: changed('q.assumed - q.largest + 1', 'q.assumed') }],
    ['permits were used 5 s late', { script: SCRIPT_WITH_TEST_CLOCK, permitLifeMs: 5000 }],
    ['lost state were taken for an empty window', { script: changed('ready + ceil', '0 * ceil'), pauseMs: 0 }],
    ['nobody restored what was spent', { script: SCRIPT_WITH_TEST_CLOCK, withoutRestore: true }],
    ['an old snapshot were trusted', { script: changed('or state[2] ~= run', '') }],
  ])(
    'would be seen to exceed one if %s',
    async (_fault, options) => {
      const summary = await runCases(2000, options, true);
      expect(summary.violations).not.toEqual([]);
    },
    TIMEOUT_MS,
  );
});
