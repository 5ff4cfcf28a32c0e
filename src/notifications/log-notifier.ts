import type { AlertMessage, Notifier } from './notifier.js';

/** The part of a logger that is needed here. */
export interface AlertLog {
  warn(fields: object, message: string): void;
}

/** Where no chat is configured: alerts go to the log. */
export function createLogNotifier(log: AlertLog): Notifier {
  return {
    destination: 'log (no chat is configured)',
    send(alert: AlertMessage): Promise<void> {
      log.warn({ event: 'allegro_sync_alert', alert }, `alert: ${alert.kind}`);
      return Promise.resolve();
    },
  };
}
