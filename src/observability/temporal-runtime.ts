import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Logger as TemporalLogger, LogLevel, LogMetadata } from '@temporalio/common';
import type { RuntimeOptions } from '@temporalio/worker';
import type { Logger } from './logger.js';

export interface TemporalRuntimeSettings {
  readonly logger: Logger;
  /** host:port on which the SDK serves its own metrics to `GET /metrics`; null: it serves none. */
  readonly metricsAddress: string | null;
}

/** What `Runtime.install` needs so that the SDK, its native core and workflow code write to our log and metrics. */
export function temporalRuntimeOptions(settings: TemporalRuntimeSettings): RuntimeOptions {
  const { metricsAddress } = settings;
  return {
    logger: createTemporalLogger(settings.logger),
    telemetryOptions: {
      logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} },
      ...(metricsAddress === null ? {} : { metrics: { prometheus: { bindAddress: metricsAddress } } }),
    },
  };
}

/** Temporal's logger in front of ours: activity failures, with the errors in them, pass the same defences. */
export function createTemporalLogger(logger: Logger): TemporalLogger {
  const log = (level: LogLevel, message: string, meta?: LogMetadata): void => {
    const fields: Record<string, unknown> = { ...meta };
    switch (level) {
      case 'TRACE':
        logger.trace(fields, message);
        break;
      case 'DEBUG':
        logger.debug(fields, message);
        break;
      case 'INFO':
        logger.info(fields, message);
        break;
      case 'WARN':
        logger.warn(fields, message);
        break;
      case 'ERROR':
        logger.error(fields, message);
        break;
    }
  };
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}

/** A port of this machine that is free now, for the SDK's metrics: it cannot be told to take any and say which. */
export async function freeMetricsAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port was found');
  return `127.0.0.1:${address.port}`;
}
