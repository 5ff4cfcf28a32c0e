interface PendingTask {
  readonly dueAt: number;
  readonly run: () => void;
  timer: NodeJS.Timeout;
}

/**
 * The simulator's time: monotonic, in ms since 1970, and able to jump ahead so that tests need not wait for a token to expire.
 * Everything that happens later (endings, operations, commands) is scheduled here.
 */
export class Clock {
  #offsetMs = 0;
  readonly #pending = new Set<PendingTask>();

  now(): number {
    return performance.timeOrigin + performance.now() + this.#offsetMs;
  }

  /** Runs `run` once, `delayMs` of simulated time from now; at once, before returning, if the delay is 0. */
  after(delayMs: number, run: () => void): void {
    if (delayMs <= 0) {
      run();
      return;
    }
    const task: PendingTask = {
      dueAt: this.now() + delayMs,
      run,
      timer: setTimeout(() => this.#finish(task), delayMs),
    };
    this.#pending.add(task);
  }

  /** Jumps ahead; tasks that become due by it run at once, in the order of their time. */
  advance(ms: number): void {
    this.#offsetMs += ms;
    const now = this.now();
    const due: PendingTask[] = [];
    for (const task of this.#pending) {
      clearTimeout(task.timer);
      if (task.dueAt <= now) due.push(task);
      else task.timer = setTimeout(() => this.#finish(task), task.dueAt - now);
    }
    due.sort((a, b) => a.dueAt - b.dueAt).forEach((task) => this.#finish(task));
  }

  /** Forgets everything scheduled. */
  clear(): void {
    for (const task of this.#pending) clearTimeout(task.timer);
    this.#pending.clear();
  }

  #finish(task: PendingTask): void {
    if (!this.#pending.delete(task)) return;
    task.run();
  }
}
