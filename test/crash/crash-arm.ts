import type { CrashBed } from './crash-bed.js';
import type { Hold } from './crash-points.js';
import type { CrashShop } from './crash-shop.js';
import { holdStatement } from './database-hold.js';
import type { HoldingProxy, WireHold } from './holding-proxy.js';

/** A point that a worker will come to, and stand at. */
export interface ArmedPoint {
  isReached(): Promise<boolean>;
  /** Once the worker is dead: the rest of the world goes on. */
  release(): Promise<void>;
}

export async function armPoint(bed: CrashBed, hold: Hold, shop: CrashShop): Promise<ArmedPoint> {
  switch (hold.kind) {
    case 'database': {
      const held = await holdStatement(bed.databaseUrl, hold);
      return {
        isReached: () => held.isReached(),
        async release() {
          await held.end(hold.fate);
          await held.close();
        },
      };
    }
    case 'telegram':
      // Before or after it has taken the message, the stand-in keeps it; the wire keeps what has not arrived on either side.
      return hold.at === 'received' || hold.at === 'applied'
        ? toPoint(bed.alerts.hold(hold.at))
        : toPoint(holdOnWire(bed.telegram, { ...hold, at: hold.at }));
    case 'redis':
      return toPoint(holdOnWire(bed.redis, hold));
    case 'marketplace':
      return hold.at === 'received' || hold.at === 'applied' ? armSimulator(bed, hold, shop) : armWire(bed, hold, shop);
  }
}

function holdOnWire(
  proxy: HoldingProxy,
  { request, at }: { readonly request: RegExp; readonly at: 'before' | 'answered' },
): WireHold {
  return proxy.hold({ request, at: at === 'before' ? 'request' : 'answer' });
}

function toPoint(held: WireHold): ArmedPoint {
  return {
    isReached: () => Promise.resolve(held.isReached()),
    release: () => {
      held.release();
      return Promise.resolve();
    },
  };
}

type MarketplaceHold = Extract<Hold, { kind: 'marketplace' }>;

/** The simulator keeps the request, before or after it has carried it out. */
async function armSimulator({ application }: CrashBed, hold: MarketplaceHold, shop: CrashShop): Promise<ArmedPoint> {
  const { admin } = application;
  const { lastRequest: since } = await admin.journal({ limit: 1 });
  const { route, at, skip = 0 } = hold;
  const rule = await admin.plantFault({
    match: {
      route,
      // Who asks for a token is known by the token.
      ...(route.includes('/auth/') ? {} : { sellerId: shop.sellerId }),
      ...(hold.ofRetriedOffer === true ? { offerId: shop.retriedOffer } : {}),
      nth: skip + 1,
    },
    fault: { kind: 'hang', ms: 600_000, applied: at === 'applied' },
  });
  return {
    async isReached() {
      const { entries } = await admin.journal({ since, limit: 100_000 });
      const held = entries.find(({ fault }) => fault === 'hang');
      if (held === undefined || held.phases.answered > 0) return false;
      return held.phases.applied > 0 === (at === 'applied');
    },
    release: () => admin.removeFault(rule),
  };
}

/** The wire keeps the request or its answer: the journal does not know it yet, or has it as answered. */
async function armWire(
  { application, marketplace }: CrashBed,
  hold: MarketplaceHold,
  shop: CrashShop,
): Promise<ArmedPoint> {
  const { admin } = application;
  const { lastRequest: since } = await admin.journal({ limit: 1 });
  const { route, at, skip = 0, ofRetriedOffer = false } = hold;
  const request = ofRetriedOffer ? new RegExp(`^PATCH /sale/product-offers/${shop.retriedOffer} `) : hold.request;
  const held = marketplace.hold({ request, at: at === 'before' ? 'request' : 'answer', skip });
  return {
    async isReached() {
      if (!held.isReached()) return false;
      const { entries } = await admin.journal({ since, limit: 100_000 });
      const known = entries.filter(
        (entry) =>
          `${entry.method} ${entry.route}` === route && (!ofRetriedOffer || entry.offerIds.includes(shop.retriedOffer)),
      );
      const answered = known.filter(({ phases }) => phases.answered > 0).length;
      return at === 'before' ? known.length === answered : answered > skip;
    },
    release: () => toPoint(held).release(),
  };
}
