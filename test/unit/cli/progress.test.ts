import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createOutput } from '../../../src/cli/output.js';
import { barOf, createProgressView, describeProgress } from '../../../src/cli/progress.js';
import type { AccountProgress } from '../../../src/workflows/api.js';

function someProgress(fields: Partial<AccountProgress> = {}): AccountProgress {
  return {
    accountId: 'shop-1',
    runId: 'run-1',
    phase: 'scanning',
    seen: 1000,
    total: 4000,
    differing: 10,
    settled: 0,
    waitingUntil: null,
    ...fields,
  };
}

test('progress is told with the offers there are, and the wait for the rate limit', () => {
  expect(describeProgress(someProgress({ waitingUntil: '2026-11-23T10:00:00.000Z' }))).toBe(
    'scanning, 1000/4000 offers, 10 differ, 0 settled, waits for the rate limit until 2026-11-23T10:00:00.000Z',
  );
  expect(describeProgress(someProgress({ total: null }))).toBe('scanning, 1000 offers, 10 differ, 0 settled');
});

describe('the bar', () => {
  test.each([
    ['of a scan is the offers seen', someProgress(), { done: 1000, total: 4000 }],
    [
      'of a scan that knows no total is never longer than 1',
      someProgress({ seen: 0, total: null }),
      { done: 0, total: 1 },
    ],
    ['of writing is the changes settled', someProgress({ phase: 'writing', settled: 4 }), { done: 4, total: 10 }],
    [
      'of writing nothing is full',
      someProgress({ phase: 'writing', seen: 4000, differing: 0 }),
      { done: 4000, total: 4000 },
    ],
  ])('%s', (_name, progress, bar) => {
    expect(barOf(progress)).toEqual(bar);
  });
});

describe('progress when piped', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('is a line per account, when something has changed, at most every 5 s', () => {
    let stderr = '';
    const stream = { write: (text: string) => (stderr += text) };
    const view = createProgressView(createOutput({ stdout: stream, stderr: stream, isJson: false, env: {} }));
    view.show(someProgress());
    view.show(someProgress({ seen: 2000 }));
    view.show(someProgress({ accountId: 'shop-2' }));
    jest.setSystemTime(5_000);
    view.show(someProgress());
    view.show(someProgress({ seen: 3000 }));
    view.stop();
    expect(stderr.split('\n').map((line) => line.slice(0, 30))).toEqual([
      'shop-1: scanning, 1000/4000 of',
      'shop-2: scanning, 1000/4000 of',
      'shop-1: scanning, 3000/4000 of',
      '',
    ]);
  });
});
