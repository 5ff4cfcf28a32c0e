import type { Sku } from '../domain/ids.js';

/** An `external.id` is no longer than this, so a longer SKU has no offer (the document). */
const LONGEST_EXTERNAL_ID = 100;
/** Of the query: servers commonly refuse request lines of more than 8 KiB. */
const LONGEST_QUERY = 6_000;

/** Splits SKUs so that no request line becomes too long. */
export function skuQueries(skus: readonly Sku[]): Sku[][] {
  const queries: Sku[][] = [];
  let current: Sku[] = [];
  let length = 0;
  for (const sku of skus) {
    if (sku.length > LONGEST_EXTERNAL_ID) continue;
    const own = '&external.id='.length + encodeURIComponent(sku).length;
    if (current.length > 0 && length + own > LONGEST_QUERY) {
      queries.push(current);
      current = [];
      length = 0;
    }
    current.push(sku);
    length += own;
  }
  if (current.length > 0) queries.push(current);
  return queries;
}
