import type { AccountSettings } from './account.js';
import type { Sku } from './ids.js';

/** Allegro counts pieces already sold into its highest number (facts: allegro-api #5385). */
export const HIGHEST_QUANTITY = 99_999;

/** The local truth about one SKU: the sum over its warehouses. */
export interface StockLevel {
  readonly sku: Sku;
  readonly quantity: number;
  /** The newest change of any of its rows. */
  readonly updatedAt: Date;
  /** When pieces were bought last, in any account, as far as events have told; null: none that is remembered. */
  readonly lastSaleAt: Date | null;
}

/**
 * Pieces an offer may show: stock − buffer, at most `max`, at most what the marketplace can hold, never below 0. A
 * positive stock never becomes 0 by the marketplace's own limit, because 0 ends the offer.
 */
export function publishableQuantity(
  stock: StockLevel,
  settings: Pick<AccountSettings, 'buffer' | 'max'>,
  sold: number,
): number {
  const free = Math.max(0, stock.quantity - settings.buffer);
  if (free === 0) return 0;
  const ceiling = Math.max(1, HIGHEST_QUANTITY - sold);
  return Math.min(free, settings.max ?? ceiling, ceiling);
}
