import { SyncError } from '../domain/errors.js';
import type { AccountId } from '../domain/ids.js';
import type { Seller } from '../domain/marketplace.js';
import type { TokenPair, TokenStore } from '../domain/token-store.js';
import type { DeviceLogin, OAuth } from './oauth.js';
import type { Session } from './session.js';
import type { TokenSource } from './tokens.js';

/** How an account gets its tokens: by the seller's consent, or from a refresh token that is handed over. */
export interface Login {
  /** The link to show to the seller. */
  start(accountId: AccountId, signal?: AbortSignal): Promise<DeviceLogin>;
  /**
   * Waits for the seller's consent, makes sure that it is the account's shop, and stores the tokens.
   * @throws SyncError AccountRefused (refused, expired, another seller, or a seller of another account)
   */
  finish(accountId: AccountId, login: DeviceLogin, signal?: AbortSignal): Promise<Seller>;
  /** The same with a refresh token, which is used up by it. @throws SyncError TokenRevoked, AccountRefused */
  adoptRefreshToken(accountId: AccountId, refreshToken: string): Promise<Seller>;
}

export interface LoginOptions {
  readonly oauth: OAuth;
  readonly session: Session;
  readonly tokens: TokenSource;
  readonly store: TokenStore;
}

export function createLogin({ oauth, session, tokens, store }: LoginOptions): Login {
  /** @returns the generation under which the pair is stored */
  async function keep(accountId: AccountId, pair: TokenPair): Promise<number> {
    for (;;) {
      const before = await store.read(accountId);
      if (await store.replace(accountId, before?.generation ?? null, pair, 'login')) {
        tokens.forget(accountId);
        return (before?.generation ?? 0) + 1;
      }
    }
  }

  /** Nothing is stored of another seller's login. What cannot be checked now is checked at its first use. */
  async function adopt(accountId: AccountId, pair: TokenPair): Promise<Seller> {
    let seller: Seller;
    try {
      seller = await session.whoIs(accountId, pair.accessToken);
    } catch (error) {
      if (error instanceof SyncError && error.type !== 'AccountRefused') await keep(accountId, pair);
      throw error;
    }
    await session.bind(accountId, seller);
    const generation = await keep(accountId, pair);
    await session.bind(accountId, seller, generation);
    return seller;
  }

  return {
    start: (accountId, signal) => oauth.startDeviceLogin(accountId, signal),
    finish: async (accountId, login, signal) =>
      adopt(accountId, await oauth.awaitDeviceLogin(accountId, login, signal)),
    adoptRefreshToken: async (accountId, refreshToken) =>
      adopt(accountId, await oauth.refresh(accountId, refreshToken)),
  };
}
