import { describe, expect, it } from '@jest/globals';
import { SendTimes, sleepUntil } from '../../../src/rate-limit/send-times.js';

const PACE_MS = 24;

async function sentAt(slotsMs: readonly number[]): Promise<number[]> {
  const times = new SendTimes();
  return Promise.all(
    slotsMs.map(async (slotMs) => {
      await sleepUntil(slotMs);
      await times.pace(slotMs);
      return performance.now();
    }),
  );
}

describe('the time of sending', () => {
  it('is never before the slot', async () => {
    const slots = [20, 44, 68].map((ms) => performance.now() + ms);
    (await sentAt(slots)).forEach((ms, index) => expect(ms).toBeGreaterThanOrEqual(slots[index] ?? 0));
  });

  it('comes at 1.2 times the pace, not in a burst, for slots that a stalled process finds behind it', async () => {
    const now = performance.now();
    const sent = await sentAt(Array.from({ length: 7 }, (_, index) => now - 300 + index * PACE_MS));
    sent.forEach((ms, index) => expect(ms - now).toBeGreaterThanOrEqual((index * PACE_MS) / 1.2));
  });
});
