import type { Quota } from '../rate-limit/limiter.js';
import type { SellerId } from '../domain/ids.js';

/**
 * What Allegro counts, per Client ID and per seller. Sources: allegro-api #12700 and #13498 (edits), #9983 (reading an
 * offer), #11160 (parts: "at least twice as loose"), the document's descriptions of the commands.
 */
const MINUTE = 60_000;
const HOUR = 3_600_000;

/** Offers in one quantity or publication command, from the document. */
export const MAX_COMMAND_OFFERS = 1000;
/** Changes in one bulk modification command, from the document. */
export const MAX_BULK_CHANGES = 25;

export type SellerResource =
  'edits' | 'offer-reads' | 'part-reads' | 'quantity-changes' | 'publication-changes' | 'bulk-changes';

interface SellerLimit {
  readonly perMinute: number;
  readonly perHour: number | null;
  readonly maxWeight: number;
}

/** 2490 and 74,700 count requests; the limits of commands count offers. */
const SELLER_LIMITS: Readonly<Record<SellerResource, SellerLimit>> = {
  edits: { perMinute: 2490, perHour: 74_700, maxWeight: 1 },
  'offer-reads': { perMinute: 3500, perHour: null, maxWeight: 1 },
  'part-reads': { perMinute: 7000, perHour: null, maxWeight: 1 },
  'quantity-changes': { perMinute: 9000, perHour: 250_000, maxWeight: MAX_COMMAND_OFFERS },
  'publication-changes': { perMinute: 9000, perHour: 250_000, maxWeight: MAX_COMMAND_OFFERS },
  'bulk-changes': { perMinute: 9000, perHour: 150_000, maxWeight: MAX_BULK_CHANGES },
};

/** Tokens are limited per user and client, by numbers that Allegro keeps to itself (tutorial on authorization). */
const LOGIN_LIMIT = 60;

export interface Quotas {
  /** Every request to the application's hosts. The first quota of all others. */
  readonly application: readonly Quota[];
  /** A request to `/auth/oauth/*` about one account. */
  forLogin(accountId: string): readonly Quota[];
  /** A call that is counted for the seller too. `weight`: offers in a command, else 1. */
  forSeller(sellerId: SellerId, resource: SellerResource, weight?: number): readonly Quota[];
}

/** @param requestsPerMinute `ALLEGRO_SYNC_RATE_LIMIT`: per Client ID in any 60 s */
export function createQuotas(requestsPerMinute: number): Quotas {
  const application: Quota = { scope: 'app', limit: requestsPerMinute, windowMs: MINUTE, weight: 1, maxWeight: 1 };
  return {
    application: [application],
    forLogin: (accountId) => [
      application,
      { scope: `login:${accountId}`, limit: LOGIN_LIMIT, windowMs: MINUTE, weight: 1, maxWeight: 1 },
    ],
    forSeller(sellerId, resource, weight = 1) {
      const { perMinute, perHour, maxWeight } = SELLER_LIMITS[resource];
      const scope = `seller:${sellerId}:${resource}`;
      const quotas = [application, { scope: `${scope}:minute`, limit: perMinute, windowMs: MINUTE, weight, maxWeight }];
      if (perHour !== null) quotas.push({ scope: `${scope}:hour`, limit: perHour, windowMs: HOUR, weight, maxWeight });
      return quotas;
    },
  };
}
