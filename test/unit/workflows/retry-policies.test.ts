import { expect, jest, test } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { beating } from '../../../src/activities/heartbeat.js';
import {
  ACCOUNT_LIST,
  BOOKKEEPING,
  offerOptions,
  OPENING,
  phaseOptions,
} from '../../../src/workflows/retry-policies.js';

test('a lost worker shows within 10 s, whatever it was at', () => {
  const all = [
    ACCOUNT_LIST,
    OPENING,
    BOOKKEEPING,
    phaseOptions({ phaseRetryCount: 2, phaseRetryDelaySeconds: 180 }),
    offerOptions({ retryCount: 3, retryDelaySeconds: 30 }).options,
  ];
  for (const options of all) expect(options).toMatchObject({ heartbeatTimeout: '10 seconds' });
});

test('a worker that is at work in the database is heard of more than once within 10 s', async () => {
  jest.useFakeTimers();
  try {
    const environment = new MockActivityEnvironment();
    let heartbeats = 0;
    environment.on('heartbeat', () => (heartbeats += 1));
    let end: (result: string) => void = () => undefined;
    const activity = beating((input: string) => new Promise<string>((resolve) => (end = () => resolve(input))));
    const ran = environment.run(activity, 'counted');
    await jest.advanceTimersByTimeAsync(10_000);
    expect(heartbeats).toBeGreaterThanOrEqual(4);
    end('');
    await expect(ran).resolves.toBe('counted');
    const before = heartbeats;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(heartbeats).toBe(before);
  } finally {
    jest.useRealTimers();
  }
});
