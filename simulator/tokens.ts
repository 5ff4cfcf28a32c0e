import { randomUUID } from 'node:crypto';

import type { Clock } from './clock.js';
import type { Settings } from './settings.js';

export const ALL_SCOPES = [
  'allegro:api:profile:read',
  'allegro:api:sale:offers:read',
  'allegro:api:sale:offers:write',
  'allegro:api:orders:read',
  'allegro:api:fulfillment:read',
] as const;

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds the access token lives. */
  readonly expiresIn: number;
  readonly scope: string;
}

/** One authorization by a seller; refreshing goes on within it. */
interface Session {
  readonly sellerId: string;
  readonly scopes: readonly string[];
  clientId: string;
  accessToken: string;
  isRevoked: boolean;
}

interface AccessToken {
  readonly session: Session;
  readonly expiresAt: number;
}

interface RefreshToken {
  readonly session: Session;
  readonly expiresAt: number;
  /** Null until first used; then it can be used again for a while, for the case that the answer was lost. */
  usedAt: number | null;
}

/** What a bearer token is worth. */
export type TokenCheck =
  | { readonly kind: 'valid'; readonly sellerId: string; readonly clientId: string; readonly scopes: readonly string[] }
  | { readonly kind: 'expired' | 'revoked'; readonly clientId: string }
  | { readonly kind: 'unknown' };

export type RefreshResult =
  | { readonly kind: 'renewed'; readonly pair: TokenPair; readonly sellerId: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** Sessions and their tokens: rotation on refresh, 60 s of grace for the used refresh token, 20 sessions a seller (authorization tutorial, allegro-api #4136, #9045, #7290). */
export class Tokens {
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  readonly #access = new Map<string, AccessToken>();
  readonly #refresh = new Map<string, RefreshToken>();
  readonly #sessions = new Map<string, Session[]>();

  constructor(clock: Clock, settings: () => Settings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** A new authorization; the seller's oldest session is dropped when there are too many. */
  authorize(sellerId: string, clientId: string, scopes: readonly string[] = ALL_SCOPES): TokenPair {
    const session: Session = { sellerId, clientId, scopes, accessToken: '', isRevoked: false };
    const sessions = this.#sessions.get(sellerId) ?? [];
    sessions.push(session);
    this.#sessions.set(sellerId, sessions);
    while (sessions.length > this.#settings().maxSessions) {
      const oldest = sessions.shift();
      if (oldest) oldest.isRevoked = true;
    }
    return this.#issue(session);
  }

  /** An application's own token, which belongs to no seller. */
  authorizeApplication(clientId: string): TokenPair {
    return this.#issue({ sellerId: '', clientId, scopes: [], accessToken: '', isRevoked: false });
  }

  /** A new pair for a refresh token; the previous access token stops working at once. */
  refresh(refreshToken: string, clientId: string): RefreshResult {
    const known = this.#refresh.get(refreshToken);
    const now = this.#clock.now();
    if (!known || known.session.sellerId === '') return { kind: 'refused', reason: 'unknown' };
    if (known.session.isRevoked) return { kind: 'refused', reason: 'revoked' };
    if (now >= known.expiresAt) return { kind: 'refused', reason: 'expired' };
    if (known.usedAt !== null && now - known.usedAt > this.#settings().refreshReuseMs) {
      return { kind: 'refused', reason: 'used' };
    }
    if (this.#settings().clients && known.session.clientId !== clientId)
      return { kind: 'refused', reason: 'other client' };
    known.usedAt ??= now;
    known.session.clientId = clientId;
    return { kind: 'renewed', pair: this.#issue(known.session), sellerId: known.session.sellerId };
  }

  sellerOfRefreshToken(refreshToken: string): string | undefined {
    return this.#refresh.get(refreshToken)?.session.sellerId;
  }

  check(accessToken: string): TokenCheck {
    const known = this.#access.get(accessToken);
    if (!known) return { kind: 'unknown' };
    const { sellerId, clientId, scopes, isRevoked } = known.session;
    if (isRevoked || known.session.accessToken !== accessToken) return { kind: 'revoked', clientId };
    if (this.#clock.now() >= known.expiresAt) return { kind: 'expired', clientId };
    return { kind: 'valid', sellerId, clientId, scopes };
  }

  /** A changed password or "log out everywhere": nothing issued so far works any more. @returns sessions revoked. */
  revoke(sellerId: string): number {
    const sessions = this.#sessions.get(sellerId) ?? [];
    for (const session of sessions) session.isRevoked = true;
    this.#sessions.delete(sellerId);
    return sessions.length;
  }

  #issue(session: Session): TokenPair {
    const { accessTokenLifetimeS, refreshTokenLifetimeS } = this.#settings();
    const now = this.#clock.now();
    const accessToken = makeJwt(session, now + accessTokenLifetimeS * 1000);
    const refreshToken = makeJwt(session, now + refreshTokenLifetimeS * 1000);
    session.accessToken = accessToken;
    this.#access.set(accessToken, { session, expiresAt: now + accessTokenLifetimeS * 1000 });
    this.#refresh.set(refreshToken, { session, expiresAt: now + refreshTokenLifetimeS * 1000, usedAt: null });
    return { accessToken, refreshToken, expiresIn: accessTokenLifetimeS, scope: session.scopes.join(' ') };
  }
}

/** Looks like Allegro's tokens: a JWT of several hundred characters. The signature is noise; only this simulator accepts it. */
function makeJwt(session: Session, expiresAt: number): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = {
    user_name: session.sellerId,
    scope: session.scopes,
    allegro_api: true,
    exp: Math.floor(expiresAt / 1000),
    jti: randomUUID(),
    client_id: session.clientId,
  };
  const signature = Buffer.from(`${randomUUID()}${randomUUID()}${randomUUID()}`).toString('base64url');
  return `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(payload)}.${signature}`;
}
