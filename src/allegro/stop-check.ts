import { SyncError } from '../domain/errors.js';
import type { StopSwitch } from './http-client.js';

/** With the time of one question this keeps well under the 5 s within which a stop is obeyed. */
const CACHED_FOR_MS = 2_000;

/**
 * A check to make before every write; one question to the switch serves all writes of 2 s.
 * The check throws `WritesStopped`, and `DependencyUnavailable` when the switch cannot be read: then nothing is written.
 */
export function createStopCheck(stopSwitch: StopSwitch): () => Promise<void> {
  let asked: { readonly atMs: number; readonly isStopped: Promise<boolean> } | null = null;

  function ask(): Promise<boolean> {
    const now = performance.now();
    if (asked !== null && now - asked.atMs < CACHED_FOR_MS) return asked.isStopped;
    const isStopped = stopSwitch.isStopped();
    const question = { atMs: now, isStopped };
    asked = question;
    const forget = (): void => {
      if (asked === question) asked = null;
    };
    // Only "go on" is kept: nothing is sent while stopped, so asking again costs little, and a start holds at once.
    isStopped.then((stopped) => {
      if (stopped) forget();
    }, forget);
    return isStopped;
  }

  return async () => {
    let isStopped: boolean;
    try {
      isStopped = await ask();
    } catch (error) {
      if (error instanceof SyncError) throw error;
      throw new SyncError('DependencyUnavailable', 'The stop switch cannot be read: PostgreSQL does not answer.');
    }
    if (isStopped) throw new SyncError('WritesStopped', 'All writes are stopped ("start" lets them go on).');
  };
}
