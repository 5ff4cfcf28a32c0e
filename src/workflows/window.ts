import { CancellationScope } from '@temporalio/workflow';

type Job = () => Promise<void>;

/**
 * Work that goes several ways at once. The first failure cancels the rest and is thrown when all have ended: whoever
 * goes on then finds nothing at work any more. `start` adds a job; what it returns resolves at the job's end.
 */
export async function runTogether(work: (start: (job: Job) => Promise<void>) => Promise<void>): Promise<void> {
  const scope = new CancellationScope();
  const failures: Error[] = [];
  const jobs: Promise<void>[] = [];
  const start = (job: Job): Promise<void> => {
    const ended = scope.run(job).catch((error: unknown) => {
      failures.push(error instanceof Error ? error : new Error('a job failed without an error'));
      scope.cancel();
    });
    jobs.push(ended);
    return ended;
  };
  void start(() => work(start));
  // Jobs that are started meanwhile are waited for too.
  for (const job of jobs) await job;
  const [first] = failures;
  if (first !== undefined) throw first;
}

/** Runs jobs with at most `size` at work; a slow one delays only the slot it holds. The first failure ends them all. */
export async function runInWindow<Item>(
  items: readonly Item[],
  size: number,
  job: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await runTogether(async (start) => {
    for (let lane = 0; lane < Math.min(size, items.length); lane += 1) {
      void start(async () => {
        for (const item of queue) {
          if (CancellationScope.current().consideredCancelled) return;
          await job(item);
        }
      });
    }
    return Promise.resolve();
  });
}
