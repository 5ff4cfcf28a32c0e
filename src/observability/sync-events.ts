import type { Logger } from './logger.js';

/** What the two events of the sync say about the work they belong to; what is not known is left out. */
export interface SyncEventFields {
  /** As `listOffers`, `writeOffer`, `submitQuantityCommand`, `openRun`. */
  readonly operation: string;
  readonly accountId?: string;
  readonly runId?: string;
  readonly offerId?: string;
  readonly sku?: string;
  /** 1 for the first. */
  readonly attempt?: number;
  readonly durationMs?: number;
  /** How long the request waited for its rate-limit permit. */
  readonly permitWaitMs?: number;
  /** HTTP status of the marketplace's answer. */
  readonly status?: number;
  /** The marketplace's `trace-id`: what its support asks for. */
  readonly traceId?: string;
}

export interface SyncErrorFields extends SyncEventFields {
  /** One of `SYNC_ERROR_TYPES`. */
  readonly errorClass: string;
  /** The marketplace's own code. */
  readonly errorCode?: string;
  readonly message: string;
}

/** One finished call or step. */
export function logSyncOperation(logger: Logger, fields: SyncEventFields): void {
  logger.info({ event: 'allegro_sync_operation', ...fields }, fields.operation);
}

/** One failed call or step: `warn`, since what follows (another attempt, an alert) is decided elsewhere. */
export function logSyncError(logger: Logger, fields: SyncErrorFields): void {
  const { message, ...rest } = fields;
  logger.warn({ event: 'allegro_sync_error', ...rest }, message);
}
