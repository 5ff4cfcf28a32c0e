import { setTimeout as sleep } from 'node:timers/promises';

import type { Application, WorkerProcess } from '../src/local/application.js';
import type { Print } from '../src/local/system.js';

const LOOK_EVERY_MS = 200;

/** The worker processes, of which as many as wanted are kept running. */
export interface Workers {
  /** Ends one as a crash does, and starts another in its place after a while. */
  killOne(restartAfterMs: number): Promise<void>;
  /** @returns wakes it */
  pauseOne(): () => void;
  /** Process ids of those that were killed here. */
  readonly killed: ReadonlySet<number>;
  /** Those that ended without being killed here. */
  readonly unexpectedEnds: readonly string[];
  stop(): void;
}

export interface WorkersOptions {
  readonly application: Pick<Application, 'startWorker'>;
  readonly count: number;
  readonly print: Print;
}

export async function startWorkers({ application, count, print }: WorkersOptions): Promise<Workers> {
  const running: WorkerProcess[] = [];
  const paused = new Set<WorkerProcess>();
  const killed = new Set<number>();
  const unexpectedEnds: string[] = [];
  let isStopped = false;

  async function start(): Promise<void> {
    const worker = await application.startWorker();
    running.push(worker);
  }

  function take(): WorkerProcess {
    const worker = running.find((one) => !paused.has(one) && !one.hasEnded());
    if (worker === undefined) throw new Error('no worker is running');
    return worker;
  }

  function forget(worker: WorkerProcess): void {
    running.splice(running.indexOf(worker), 1);
  }

  async function watch(): Promise<void> {
    while (!isStopped) {
      for (const worker of running.filter((one) => one.hasEnded())) {
        forget(worker);
        print(`a worker ended by itself; its log is ${worker.logFile}`);
        unexpectedEnds.push(worker.logFile);
        await startAgain();
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** A worker that cannot be started is a failure of the run, and must not end it. */
  async function startAgain(): Promise<void> {
    try {
      await start();
    } catch (error) {
      if (isStopped) return;
      const message = error instanceof Error ? error.message : String(error);
      print(`a worker could not be started: ${message}`);
      unexpectedEnds.push(message);
    }
  }

  // One that is asleep would not hear that it is to stop.
  const wakeAll = (): void => {
    for (const worker of paused) worker.kill('SIGCONT');
  };
  process.on('exit', wakeAll);
  await Promise.all(Array.from({ length: count }, start));
  void watch();
  return {
    async killOne(restartAfterMs) {
      const worker = take();
      forget(worker);
      killed.add(worker.pid);
      worker.kill('SIGKILL');
      await sleep(restartAfterMs);
      await startAgain();
    },
    pauseOne() {
      const worker = take();
      paused.add(worker);
      worker.kill('SIGSTOP');
      return () => {
        worker.kill('SIGCONT');
        paused.delete(worker);
      };
    },
    killed,
    unexpectedEnds,
    stop() {
      isStopped = true;
      process.off('exit', wakeAll);
      wakeAll();
    },
  };
}
