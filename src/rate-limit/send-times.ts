import { setTimeout as sleep } from 'node:timers/promises';

/** How much faster than its slots a process may send after it was late. */
const CATCH_UP = 1.2;

/**
 * A process that was held up has the slots of several permits behind it. What is still good of them goes out at 1.2
 * times their pace, not in a burst.
 */
export class SendTimes {
  private newest = { slotMs: 0, sendMs: 0 };

  /** Waits, if need be, with a permit whose slot (on the monotonic clock) has come. */
  async pace(slotMs: number): Promise<void> {
    const { newest } = this;
    const distanceMs = Math.max(0, slotMs - newest.slotMs) / CATCH_UP;
    const sendMs = Math.max(performance.now(), newest.sendMs + distanceMs);
    this.newest = { slotMs: Math.max(slotMs, newest.slotMs), sendMs };
    await sleepUntil(sendMs);
  }
}

/** On the monotonic clock. Timers may fire a fraction of a millisecond early. */
export async function sleepUntil(timeMs: number): Promise<void> {
  for (let leftMs = timeMs - performance.now(); leftMs > 0; leftMs = timeMs - performance.now()) {
    await sleep(Math.ceil(leftMs));
  }
}
