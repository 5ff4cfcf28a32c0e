import { SyncError } from '../domain/errors.js';
import type { Call } from '../domain/marketplace.js';

const ORDER: readonly Call['priority'][] = ['danger', 'adhoc', 'scheduled'];

/**
 * Bounds the requests in flight of this process. It is passed before a permit is taken, so that a permit never waits in
 * a queue; who is more urgent goes first, within one urgency who came first. Nobody waits longer here than for a permit.
 */
export class RequestGate {
  private readonly waiting = new Map<Call['priority'], Set<() => void>>(
    ORDER.map((priority) => [priority, new Set<() => void>()]),
  );
  private running = 0;

  constructor(
    private readonly maxInFlight: number,
    private readonly maxWaitMs: number,
  ) {}

  /**
   * Runs the work when there is room. @throws SyncError RateLimited when there was none for `maxWaitMs`; the signal's
   * reason when it is aborted while waiting
   */
  async run<Result>(
    { priority, signal }: { priority: Call['priority']; signal?: AbortSignal | undefined },
    work: () => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted();
    if (this.running >= this.maxInFlight) await this.waitForRoom(priority, signal);
    else this.running += 1;
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  private waitForRoom(priority: Call['priority'], signal: AbortSignal | undefined): Promise<void> {
    const line = this.waiting.get(priority) ?? new Set<() => void>();
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(patience);
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const leaveWith = (error: Error): void => {
        line.delete(enter);
        clearTimeout(patience);
        signal?.removeEventListener('abort', giveUp);
        reject(error);
      };
      const giveUp = (): void => {
        const reason: unknown = signal?.reason;
        leaveWith(reason instanceof Error ? reason : new Error('the request was cancelled'));
      };
      const patience = setTimeout(() => leaveWith(this.fullError()), this.maxWaitMs);
      line.add(enter);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  private fullError(): SyncError {
    return new SyncError('RateLimited', `${this.maxInFlight} requests of this process wait for Allegro's answers.`, {
      retryInMs: this.maxWaitMs,
      scope: 'in_flight',
    });
  }

  /** The place of who leaves is handed over, so `running` changes only when nobody waits. */
  private leave(): void {
    for (const priority of ORDER) {
      const line = this.waiting.get(priority);
      const [next] = line ?? [];
      if (line === undefined || next === undefined) continue;
      line.delete(next);
      next();
      return;
    }
    this.running -= 1;
  }
}
