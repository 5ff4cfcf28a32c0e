import { describe, expect, it } from '@jest/globals';
import type { Quota } from '../../../src/rate-limit/pace.js';
import { SpentRecord } from '../../../src/rate-limit/spent-record.js';

const HOUR_MS = 3_600_000;
const hourly: Quota = { scope: 'seller:hour', limit: 74_700, windowMs: HOUR_MS, weight: 1, maxWeight: 1 };
const minutely: Quota = { ...hourly, scope: 'seller:minute', limit: 2490, windowMs: 60_000 };

function weightOf(spent: string): number {
  return spent.split(',').reduce((sum, entry) => sum + Number(entry.split(':')[1]), 0);
}

describe('what a process remembers of its permits', () => {
  it('is the whole last hour of a counted quota', () => {
    const record = new SpentRecord();
    for (let ms = 0; ms < HOUR_MS; ms += 1000) record.record([minutely, hourly], ms);
    const lost = record.youngerThan(Infinity, HOUR_MS);
    expect(lost.map(({ quota }) => quota.scope)).toEqual(['seller:hour']);
    expect(lost.map(({ spent }) => weightOf(spent))).toEqual([3600]);
  });

  it('does not grow with the number of permits', () => {
    const record = new SpentRecord();
    for (let ms = 0; ms < 3 * HOUR_MS; ms += 500) record.record([hourly], ms);
    const [lost] = record.youngerThan(Infinity, 3 * HOUR_MS);
    expect(lost?.spent.split(',').length).toBeLessThanOrEqual(62);
  });

  it('leaves out what the surviving state still knows', () => {
    const record = new SpentRecord();
    record.record([hourly], 0);
    record.record([{ ...hourly, weight: 1 }], 600_000);
    expect(record.youngerThan(300_000, 700_000)).toEqual([{ quota: hourly, spent: '100000000:1' }]);
  });

  it('ends with the window', () => {
    const record = new SpentRecord();
    record.record([hourly], 0);
    expect(record.youngerThan(Infinity, HOUR_MS + 2001)).toEqual([]);
  });
});
