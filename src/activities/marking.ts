import { SyncError } from '../domain/errors.js';
import type { RunId } from '../domain/ids.js';
import type { Mark, Marking } from '../storage/changes.js';
import type { RunScope } from './run-scope.js';

/**
 * A write that is not on its way this long after the stock was read for it is dropped, and taken anew with the stock of
 * then: its worker may have been stopped meanwhile. More than a request waits for room and for its permit (2 s each);
 * less than another worker needs to take the activity over (the heartbeat time-out of 10 s, less the 3 s that the last
 * heartbeat may be old).
 */
const SEND_WITHIN_MS = 5_000;

/** `Call.sendBy` for a number that is read from the stock after this. */
export function sendByFromNow(): number {
  return performance.now() + SEND_WITHIN_MS;
}

function superseded(runId: RunId): SyncError {
  return new SyncError('Superseded', `run ${runId}: a newer run owns the account`);
}

/** @throws SyncError Superseded */
export function requireOwner({ run }: RunScope, isOwner: boolean): void {
  if (!isOwner) throw superseded(run.runId);
}

/**
 * @throws SyncError Superseded when another run owns the account; DependencyUnavailable when another worker is at the
 * same change: the rows tell what is left to do
 */
export function requireMark({ run }: RunScope, marking: Marking): Mark {
  switch (marking.kind) {
    case 'marked':
      return marking.mark;
    case 'superseded':
      throw superseded(run.runId);
    case 'taken':
      throw new SyncError('DependencyUnavailable', 'another worker is at the same change');
  }
}
