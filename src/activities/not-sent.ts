import { CONCERNS_THE_ACCOUNT, SyncError } from '../domain/errors.js';

/**
 * Whether the error of a write says that nothing of it is on its way: it had no permit, was stopped, found no connection,
 * or was refused for reasons that have nothing to do with it. What may have arrived is `OutcomeUnknown`.
 */
export function isUnsent(error: unknown, signal: AbortSignal | undefined): boolean {
  if (error instanceof SyncError) return CONCERNS_THE_ACCOUNT.includes(error.type);
  // A write that is on its way is not called back, so one that was cancelled was not.
  return signal?.aborted === true && error === signal.reason;
}
