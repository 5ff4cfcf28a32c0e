import type { BulkModification } from '../domain/bulk-modification.js';
import type { Marketplace } from '../domain/marketplace.js';
import type { MarketplaceEvents } from '../domain/marketplace-events.js';
import type { TokenStore } from '../domain/token-store.js';
import type { RateLimiter } from '../rate-limit/limiter.js';
import { createCommands } from './commands.js';
import { createEvents } from './events.js';
import { createHttpClient, type RequestReport, type StopSwitch } from './http-client.js';
import { createLogin, type Login } from './login.js';
import { createOAuth } from './oauth.js';
import { createOffers } from './offers.js';
import { createQuotas } from './quotas.js';
import { createSession } from './session.js';
import { createTokenSource } from './tokens.js';
import { createWriteRoom } from './write-room.js';

export interface AllegroOptions {
  /** Without a slash at the end. */
  readonly apiUrl: string;
  readonly authUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** `AppName/1.0.0 (+https://…)` */
  readonly userAgent: string;
  /** `ALLEGRO_SYNC_RATE_LIMIT`: requests per Client ID in any 60 s. */
  readonly requestsPerMinute: number;
  readonly limiter: Pick<RateLimiter, 'acquire' | 'peek' | 'penalise' | 'answered' | 'unanswered' | 'usage'>;
  readonly tokenStore: TokenStore;
  readonly stopSwitch: StopSwitch;
  /** Told of every request, for logs and metrics. */
  readonly onRequest?: (report: RequestReport) => void;
  /** Requests in flight of this process. Default 300. */
  readonly maxInFlight?: number;
  readonly maxInlineWaitMs?: number;
  /** Multiplies all time-outs; tests make it small. */
  readonly timeoutFactor?: number;
  /** Milliseconds since 1970; tests put in their own. */
  readonly now?: () => number;
}

/** Everything of Allegro, behind one HTTP client. */
export interface Allegro {
  readonly marketplace: Marketplace;
  readonly login: Login;
  /** Beta (`ALLEGRO_BULK_MODIFICATION`): the same as the port's. */
  readonly bulk: BulkModification;
  readonly events: MarketplaceEvents;
  /** Closes idle connections. */
  close(): void;
}

export function createAllegro(options: AllegroOptions): Allegro {
  const { apiUrl, clientId, clientSecret, tokenStore: store } = options;
  const quotas = createQuotas(options.requestsPerMinute);
  const http = createHttpClient(options);
  const oauth = createOAuth({ http, quotas, clientId, clientSecret });
  const tokens = createTokenSource({ store, oauth, ...(options.now === undefined ? {} : { now: options.now }) });
  const session = createSession({ http, tokens, store, quotas });
  const offers = createOffers({ session, quotas, apiUrl });
  const commands = createCommands({ session, quotas });

  return {
    marketplace: {
      identify: (call) => session.identify(call),
      listOffers: (call, page) => offers.list(call, page),
      findOffers: (call, skus) => offers.find(call, skus),
      readOffer: (call, offerId) => offers.read(call, offerId),
      readAvailable: (call, offerId) => offers.readAvailable(call, offerId),
      writeOffer: (call, offerId, write) => offers.write(call, offerId, write),
      checkOperation: (call, operation) => offers.checkOperation(call, operation),
      submitQuantityCommand: (call, command) => commands.submitQuantity(call, command),
      readQuantityCommand: (call, commandId) => commands.readQuantity(call, commandId),
      submitEndCommand: (call, command) => commands.submitEnd(call, command),
      readEndCommand: (call, commandId) => commands.readEnd(call, commandId),
      bulk: commands.bulk,
      roomForWrites: createWriteRoom({ limiter: options.limiter, quotas }),
      peekPermit: ({ atOnce, writesOf }) =>
        http.peek(writesOf === null ? quotas.application : quotas.forSeller(writesOf, 'edits'), atOnce),
    },
    login: createLogin({ oauth, session, tokens, store }),
    bulk: commands.bulk,
    events: createEvents({ session, quotas }),
    close: () => http.close(),
  };
}

/** The port alone. */
export function createAllegroMarketplace(options: AllegroOptions): Marketplace {
  return createAllegro(options).marketplace;
}
