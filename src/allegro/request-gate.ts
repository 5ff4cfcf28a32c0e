import type { Call } from '../domain/marketplace.js';

const ORDER: readonly Call['priority'][] = ['danger', 'adhoc', 'scheduled'];

/**
 * Bounds the requests in flight of this process. It is passed before a permit is taken, so that a permit never waits in
 * a queue; who is more urgent goes first, within one urgency who came first.
 */
export class RequestGate {
  private readonly waiting = new Map<Call['priority'], Set<() => void>>(
    ORDER.map((priority) => [priority, new Set<() => void>()]),
  );
  private running = 0;

  constructor(private readonly maxInFlight: number) {}

  /** Runs the work when there is room. @throws the signal's reason when it is aborted while waiting */
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
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        line.delete(enter);
        const reason: unknown = signal?.reason;
        reject(reason instanceof Error ? reason : new Error('the request was cancelled'));
      };
      line.add(enter);
      signal?.addEventListener('abort', giveUp, { once: true });
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
