import { types } from 'node:util';

const CENSORED = '[secret]';
const DEEPEST = 6;
const LONGEST_LIST = 100;
const LONGEST_CAUSE_CHAIN = 5;

/** Fields whose value is never written, compared in lower case without "-" and "_". */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'token',
  'accesstoken',
  'refreshtoken',
  'bottoken',
  'telegrambottoken',
  'secret',
  'clientsecret',
  'allegroclientsecret',
  'devicecode',
  'password',
  'apikey',
  'temporalapikey',
  'tokenencryptionkey',
  'encryptionkey',
]);

/** What is kept of an error: never its other fields, since those of HTTP clients hold the request with its headers. */
export interface LoggedError {
  readonly name: string;
  readonly message: string;
  readonly type?: string;
  readonly code?: string;
  readonly facts?: unknown;
  readonly stack?: string;
  readonly cause?: LoggedError | string;
}

export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** Name, type, message, stack, the facts of a `SyncError` and the chain of causes; anything else is made safe as it is. */
export function toLoggedError(value: unknown): unknown {
  return isError(value) ? describeError(value, 0) : toLoggedValue(value);
}

/**
 * A copy that is safe to write: plain data only, secret fields censored. Instances of classes (requests, responses,
 * sockets) become their class name, since nobody knows what they hold.
 */
export function toLoggedValue(value: unknown): unknown {
  return copy(value, 0);
}

/** The same for the fields of one log line. */
export function toLoggedFields(fields: object): Record<string, unknown> {
  return copyFields(fields, 0);
}

function describeError(error: Error, depth: number): LoggedError {
  const { code, type, facts }: Error & { code?: unknown; type?: unknown; facts?: unknown } = error;
  return {
    name: error.name,
    ...(typeof type === 'string' ? { type } : {}),
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(facts === undefined ? {} : { facts: copy(facts, 1) }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= LONGEST_CAUSE_CHAIN
      ? {}
      : { cause: describeCause(error.cause, depth + 1) }),
  };
}

function describeCause(cause: unknown, depth: number): LoggedError | string {
  if (isError(cause)) return describeError(cause, depth);
  return typeof cause === 'string' ? cause : `[${typeof cause}]`;
}

function copy(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'function':
    case 'symbol':
      return undefined;
    case 'object':
      return value === null ? null : copyObject(value, depth);
    default:
      return value;
  }
}

function copyObject(value: object, depth: number): unknown {
  if (isError(value)) return describeError(value, 0);
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth >= DEEPEST) return '[…]';
  if (Array.isArray(value)) return value.slice(0, LONGEST_LIST).map((item) => copy(item, depth + 1));
  if (!isPlainObject(value)) return `[${value.constructor.name}]`;
  return copyFields(value, depth);
}

function copyFields(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).map(([name, field]) => [
    name,
    isSecretField(name) && typeof field === 'string' ? CENSORED : copy(field, depth + 1),
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function isSecretField(name: string): boolean {
  return SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, ''));
}

/** By the name of the constructor, so that objects of another realm (a workflow's sandbox) count too. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || value.constructor.name === 'Object';
}
