import type { Logger } from 'pino';
import type { SyncConfig } from '../config.js';
import type { Marketplace } from '../domain/marketplace.js';
import type { MarketplaceEvents } from '../domain/marketplace-events.js';
import type { Db } from '../storage/database.js';
import type { RequestCounter } from './request-counter.js';

/** What the activities work with; built once per process in `worker.ts`. */
export interface ActivityServices {
  readonly db: Db;
  readonly marketplace: Marketplace;
  readonly events: Pick<MarketplaceEvents, 'readSales'>;
  readonly sync: SyncConfig;
  readonly logger: Logger;
  readonly requests: RequestCounter;
  readonly metrics: RunMetrics;
  /** Rows of a page of the listing. Default 1000, the most there is; tests make it small. */
  readonly offersPerPage?: number;
  /** Sends all messages that are due; never throws for a notifier that is down. */
  readonly deliverMessages: () => Promise<{ sent: number; failed: number }>;
}

/** null: no stock row is too old. */
export function stockMaxAgeMs({ stockMaxAgeSeconds }: SyncConfig): number | null {
  return stockMaxAgeSeconds === null ? null : stockMaxAgeSeconds * 1000;
}

/** The part of the metrics that runs report to. */
export interface RunMetrics {
  runClosed(run: {
    accountId: string;
    seen: number;
    updated: number;
    failed: Readonly<Record<string, number>>;
    held: number;
    pending: number;
    durationMs: number;
  }): void;
}
