import { SyncError } from '../domain/errors.js';
import type { SellerId } from '../domain/ids.js';
import type { WriteRoom } from '../domain/marketplace.js';
import { LimiterUnavailable, type RateLimiter } from '../rate-limit/limiter.js';
import type { Quotas, SellerResource } from './quotas.js';

const HOUR_MS = 3_600_000;

/**
 * What the seller's quotas leave for the next hour: as many windows as an hour has, less what the current one has used
 * and what a block takes away. So the minute's pace counts as what it allows in an hour, and the hour as what is left.
 * The function throws SyncError DependencyUnavailable when the limiter cannot be asked.
 */
export function createWriteRoom(parts: { readonly limiter: Pick<RateLimiter, 'usage'>; readonly quotas: Quotas }) {
  const { limiter, quotas } = parts;

  async function roomOf(sellerId: SellerId, resource: SellerResource): Promise<number> {
    const own = quotas.forSeller(sellerId, resource).slice(1);
    const usage = await limiter.usage(own);
    const rooms = usage.map(({ assumedLimit, usedInWindow, blockedForMs }, index) => {
      const windowMs = own[index]?.windowMs ?? HOUR_MS;
      return (assumedLimit * (HOUR_MS - blockedForMs)) / windowMs - usedInWindow;
    });
    return Math.max(0, Math.floor(Math.min(Infinity, ...rooms)));
  }

  return async function roomForWrites(sellerId: SellerId): Promise<WriteRoom> {
    try {
      const [single, command, bulk] = await Promise.all([
        roomOf(sellerId, 'edits'),
        roomOf(sellerId, 'quantity-changes'),
        roomOf(sellerId, 'bulk-changes'),
      ]);
      return { single, command, bulk };
    } catch (error) {
      if (!(error instanceof LimiterUnavailable)) throw error;
      throw new SyncError('DependencyUnavailable', 'The rate limiter cannot be asked: Redis does not answer.');
    }
  };
}
