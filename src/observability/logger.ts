import { pino } from 'pino';
import { toLoggedError, toLoggedFields } from './log-values.js';
import { createScrubber, type Scrubber } from './scrubber.js';

export type Logger = pino.Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Knows the configured secrets (`configuredSecrets`); without it only what looks like a secret is censored. */
  readonly scrubber?: Scrubber;
  /** Standard output unless given; the command line gives standard error. */
  readonly destination?: pino.DestinationStream;
}

/**
 * One JSON object a line. Secrets are kept out three times over: errors are reduced to what a person needs, fields with
 * the name of a secret are censored, and the finished line is searched for every known secret.
 */
export function createLogger(options: LoggerOptions): Logger {
  const scrubber = options.scrubber ?? createScrubber([]);
  return pino(
    {
      level: options.level,
      base: {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        bindings: toLoggedFields,
        log: toLoggedFields,
      },
      serializers: { err: toLoggedError, error: toLoggedError },
      hooks: { streamWrite: (line) => scrubber.scrub(line) },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  );
}
