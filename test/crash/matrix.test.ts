import { beforeAll, describe, expect, test } from '@jest/globals';
import { startCrashBed } from './crash-bed.js';
import { CRASH_POINTS, TELLING_POINTS, titleOf, type CrashPoint } from './crash-points.js';
import { crashAt, NeverReached, type CrashResult } from './crash-run.js';
import { writeMatrix } from './matrix-table.js';

/**
 * The real worker is killed at named points of a run and another one goes on: nothing is lost, nothing harmful is
 * written, and nobody is told what is not so. `npm run crash-matrix` goes through all points and writes the table of
 * docs/reliability.md; `npm run test:crash` takes the few that tell most.
 */

const isWhole = process.env['CRASH_MATRIX'] === 'all';
const wanted = process.env['CRASH_POINTS'];
const POINTS = (isWhole ? CRASH_POINTS : TELLING_POINTS).filter(
  (point) => wanted === undefined || titleOf(point).includes(wanted),
);
/** Beds at work at the same time: most of the time is waiting for the heartbeat time-out. */
const LANES = Math.min(POINTS.length, isWhole ? 3 : 4);
const RESUME_WITHIN_S = 15;

const results = new Map<string, CrashResult | Error>();
let writing = Promise.resolve();

async function runLane(lane: number, queue: IterableIterator<[number, CrashPoint]>): Promise<void> {
  const bed = await startCrashBed(lane);
  try {
    for (const [number, point] of queue) {
      const result = await crashAt(bed, point, number)
        .catch((error: unknown) => {
          if (error instanceof NeverReached) return crashAt(bed, point, number + POINTS.length);
          throw error;
        })
        .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      results.set(titleOf(point), result);
      if (isWhole) await keep(point, result);
    }
  } finally {
    await bed.close();
  }
}

/** A whole matrix takes minutes: somebody may be watching, and what is known is kept if it is ended early. */
async function keep(point: CrashPoint, result: CrashResult | Error): Promise<void> {
  process.stderr.write(`${progressOf(point, result)}\n`);
  if (wanted !== undefined) return;
  const done = CRASH_POINTS.flatMap((each) => {
    const known = results.get(titleOf(each));
    return known === undefined || known instanceof Error ? [] : [known];
  });
  await (writing = writing.then(() => writeMatrix(done)));
}

function progressOf(point: CrashPoint, result: CrashResult | Error): string {
  const head = `${results.size}/${POINTS.length} ${titleOf(point)}: `;
  if (result instanceof Error) return head + result.message;
  const { secondsToResume, wrong } = result;
  return `${head}resumed after ${secondsToResume.toFixed(1)} s, ${wrong.length} wrong`;
}

/** One point of each activity, then the second of each, and so on: whoever ends it early has seen all of them. */
function firstOfEach(points: readonly CrashPoint[]): CrashPoint[] {
  const place = (point: CrashPoint): number =>
    points.filter(({ activity }) => activity === point.activity).indexOf(point);
  return [...points].sort((one, other) => place(one) - place(other));
}

beforeAll(async () => {
  const queue = firstOfEach(POINTS).entries();
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane + 1, queue)));
}, 1_800_000);

function resultOf(point: CrashPoint): CrashResult {
  const result = results.get(titleOf(point));
  if (result === undefined) throw new Error('not run');
  if (result instanceof Error) throw result;
  return result;
}

describe.each(POINTS.map((point) => ({ title: titleOf(point), point })))('killed at $title', ({ point }) => {
  test('the run goes on and ends as if nothing had happened', () => {
    const result = resultOf(point);
    // Two offers are at their second attempt at a time, so another activity may end with the worker too.
    expect(result.interrupted).toContain(point.activity);
    expect(result).toMatchObject({
      outcome: 'problems',
      wrong: [],
      writtenTwice: 0,
      harmful: 0,
      attemptsUsedUp: 0,
      toldWrongly: [],
      isTold: true,
    });
    expect(result.inBuckets).toBe(result.seen);
    // A sender that is killed while it sends may repeat that one message.
    expect(result.toldTwice).toBeLessThanOrEqual(point.activity === 'notify' ? 1 : 0);
    expect(result.secondsToResume).toBeLessThanOrEqual(RESUME_WITHIN_S);
  });
});
