import { types } from 'node:util';
import { SyncError } from '../domain/errors.js';

/** SQLSTATE classes of a server that cannot serve now: connection, resources, operator, system, insufficient resources. */
const UNAVAILABLE_CLASSES = ['08', '53', '57', '58'];
/** Of class 57, what a statement brought upon itself. */
const OWN_FAULT = new Set(['57014']);
/** The lock was not to be had in time; a standby that cannot write yet; 25P03: we were silent in a transaction; 40P01: a deadlock. */
const UNAVAILABLE_STATES = new Set(['55P03', '25006', '25P03', '40P01']);

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
]);

/** pg reports these without a code. */
const PG_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|Client was closed|Cannot use a pool after calling end|timeout expired|read ECONNRESET)/;

/** Whether PostgreSQL is away or overloaded, so that the same statement may succeed later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  // Not `instanceof`: the errors of sockets may come from another realm.
  if (!types.isNativeError(error)) return false;
  // Several addresses of one host name, each refused.
  if ('errors' in error && Array.isArray(error.errors) && error.errors.some(isDatabaseUnavailable)) return true;
  if (PG_MESSAGES.test(error.message)) return true;
  const code: unknown = 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return false;
  if (SOCKET_CODES.has(code) || UNAVAILABLE_STATES.has(code)) return true;
  return code.length === 5 && UNAVAILABLE_CLASSES.includes(code.slice(0, 2)) && !OWN_FAULT.has(code);
}

/**
 * Runs database work; PostgreSQL being away becomes `DependencyUnavailable`, without the statement or its values.
 * Other errors pass as they are.
 */
export async function withDatabaseErrors<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isDatabaseUnavailable(error)) throw error;
    throw new SyncError('DependencyUnavailable', 'PostgreSQL cannot be reached.');
  }
}
