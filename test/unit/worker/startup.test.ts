import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createLogger } from '../../../src/observability/logger.js';
import { connectPatiently, NotUsable } from '../../../src/startup.js';

const lines: string[] = [];
const services = {
  logger: createLogger({ level: 'info', destination: { write: (line: string) => void lines.push(line) } }),
  scrub: (text: string) => text.replace('secret', '***'),
};

beforeEach(() => {
  lines.length = 0;
  jest.useFakeTimers({ doNotFake: ['performance'] });
});

afterEach(() => {
  jest.useRealTimers();
});

/** Fails `failures` times, then answers. */
function part(failures: number, error = new Error('connect ECONNREFUSED with secret')) {
  let calls = 0;
  return {
    connect: () => {
      calls += 1;
      return calls <= failures ? Promise.reject(error) : Promise.resolve('connected');
    },
    calls: () => calls,
  };
}

describe('a part that a process needs at its start', () => {
  test('is waited for, with a line in the log each time and no secret in it', async () => {
    const redis = part(3);
    const connected = connectPatiently('Redis', redis.connect, services);
    await jest.advanceTimersByTimeAsync(10_000);
    await expect(connected).resolves.toBe('connected');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('Redis cannot be reached yet: connect ECONNREFUSED');
    expect(lines.join('')).not.toContain('secret');
  });

  test('is given up after a minute, with the reason', async () => {
    const temporal = part(Number.POSITIVE_INFINITY);
    const connected = connectPatiently('Temporal', temporal.connect, services).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(61_000);
    const error = await connected;
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toContain('Temporal cannot be reached: connect ECONNREFUSED with ***');
    expect(temporal.calls()).toBeGreaterThan(10);
  });

  test('is not waited for when it is there and wrong', async () => {
    const database = part(1, new NotUsable('the database is not migrated'));
    await expect(connectPatiently('PostgreSQL', database.connect, services)).rejects.toThrow('not migrated');
    expect(database.calls()).toBe(1);
  });
});
