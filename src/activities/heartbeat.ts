import { Context } from '@temporalio/activity';

/** Well under the heartbeat time-out of 10 s, so that one lost heartbeat is not taken for a lost worker. */
const HEARTBEAT_EVERY_MS = 2_000;

/**
 * Runs work that may take longer than a heartbeat time-out. The signal tells it to stop between two steps: the activity
 * was cancelled, timed out, or the worker shuts down.
 */
export async function withHeartbeat<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}
