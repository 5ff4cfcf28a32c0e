import type { OfferId } from '../domain/ids.js';

/**
 * Where to ask for an accepted edit: the path of its `Location` when that points at the API's own host, else the
 * documented path with the operation's id (the tutorial's example points elsewhere). null: no id to be found.
 */
export function operationPath(
  location: string | null,
  { apiUrl, offerId }: { readonly apiUrl: string; readonly offerId: OfferId },
): string | null {
  if (location === null) return null;
  const base = new URL(apiUrl);
  const url = URL.canParse(location, apiUrl) ? new URL(location, apiUrl) : null;
  if (url === null) return null;
  const prefix = base.pathname === '/' ? '' : base.pathname;
  const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) : url.pathname;
  if (url.origin === base.origin && path.startsWith('/sale/')) return path + url.search;
  const operationId = url.pathname.split('/').at(-1) ?? '';
  if (!/^[\w-]{8,64}$/.test(operationId)) return null;
  return `/sale/product-offers/${encodeURIComponent(offerId)}/operations/${operationId}`;
}
