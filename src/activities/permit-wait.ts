import { SyncError } from '../domain/errors.js';

/** No permit for longer than a request waits: the activity returns what it has done, and the workflow sleeps. */
export interface PermitWait {
  readonly ms: number;
  readonly why: string;
}

/** undefined: the error is another one. */
export function toPermitWait(error: unknown): PermitWait | undefined {
  if (!(error instanceof SyncError) || error.type !== 'RateLimited') return undefined;
  return { ms: error.facts.retryInMs ?? 0, why: error.message };
}
