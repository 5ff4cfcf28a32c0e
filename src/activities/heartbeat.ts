import { setMaxListeners } from 'node:events';
import { Context } from '@temporalio/activity';

/** Well under the heartbeat time-out of 10 s, so that one lost heartbeat is not taken for a lost worker. */
const HEARTBEAT_EVERY_MS = 2_000;
/** Ten requests at once, each of which listens while it waits for room, for its permit and for its answer. */
const MOST_LISTENERS = 50;

/**
 * Runs work that may take longer than a heartbeat time-out. The signal tells it to stop between two steps: the activity
 * was cancelled, timed out, or the worker shuts down.
 */
export async function withHeartbeat<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const context = Context.current();
  // More than Node's default of 10, at which it warns of a leak.
  setMaxListeners(MOST_LISTENERS, context.cancellationSignal);
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}

/** An activity that is heard of while it works, so that a lost worker shows within the heartbeat time-out. */
export function beating<Input, Result>(activity: (input: Input) => Promise<Result>): (input: Input) => Promise<Result> {
  return (input) => withHeartbeat(() => activity(input));
}
