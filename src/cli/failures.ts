/** 0: done and all well. 1: something failed, is held or pending. 2: wrong usage or configuration. */
export type ExitStatus = 0 | 1 | 2;

/** The command line itself is wrong; the message names the argument. Ends with exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command was right and could not be done; the message says why and what to do. Ends with exit status 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** The text of anything thrown; a group of connection errors has no message of its own. */
export function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.map(messageOf).join('; ');
  return 'message' in error && typeof error.message === 'string' ? error.message : 'unknown error';
}
