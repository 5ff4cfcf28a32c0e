import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { Clock } from '../../../simulator/clock.js';

let clock: Clock;

beforeEach(() => {
  clock = new Clock();
});
afterEach(() => clock.clear());

describe('Clock', () => {
  it('runs a task without delay before it returns', () => {
    const done: string[] = [];
    clock.after(0, () => done.push('now'));
    expect(done).toEqual(['now']);
  });

  it('runs a task when its time has come by itself', async () => {
    await new Promise<void>((resolve) => clock.after(5, resolve));
  });

  it('runs what a jump makes due, in the order of its time, once', () => {
    const done: string[] = [];
    clock.after(2000, () => done.push('second'));
    clock.after(1000, () => done.push('first'));
    clock.after(9000, () => done.push('third'));
    clock.advance(5000);
    expect(done).toEqual(['first', 'second']);
    clock.advance(5000);
    expect(done).toEqual(['first', 'second', 'third']);
  });

  it('runs in the same jump what a task schedules without delay', () => {
    const done: string[] = [];
    clock.after(1000, () => clock.after(0, () => done.push('follows')));
    clock.advance(1000);
    expect(done).toEqual(['follows']);
  });

  it('jumps by what it is told', () => {
    const before = clock.now();
    clock.advance(3_600_000);
    expect(clock.now() - before).toBeGreaterThanOrEqual(3_600_000);
  });

  it('forgets its tasks when cleared', () => {
    const done: string[] = [];
    clock.after(1000, () => done.push('late'));
    clock.clear();
    clock.advance(2000);
    expect(done).toEqual([]);
  });
});
