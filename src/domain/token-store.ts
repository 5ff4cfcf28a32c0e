import type { AccountId, SellerId } from './ids.js';

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly accessExpiresAt: Date;
}

export interface StoredTokens extends TokenPair {
  /** Counts the pairs of this account; `replace` compares it. */
  readonly generation: number;
  /** When this pair was stored: a refresh token dies unused three months later. */
  readonly storedAt: Date;
  /** Set, and committed, before the refresh token is sent; null once the next pair is stored. */
  readonly refreshStartedAt: Date | null;
  /** Whether these tokens are known to open the shop that the account is bound to. */
  readonly isSellerChecked: boolean;
}

/** A `login` may open another shop, so its seller is checked again; a `refresh` cannot. */
export type TokenOrigin = 'login' | 'refresh';

/** Where the tokens of all accounts are kept, encrypted at rest. There is no way to list them. */
export interface TokenStore {
  /** null: the account was never authorized. */
  read(accountId: AccountId): Promise<StoredTokens | null>;
  /** One holder over all processes; the lock is gone with its connection. */
  withRefreshLock<Result>(accountId: AccountId, work: () => Promise<Result>): Promise<Result>;
  markRefreshStarted(accountId: AccountId, generation: number): Promise<void>;
  /**
   * false: another pair was stored since `expectedGeneration` was read; nothing was written. Default origin: `login`,
   * which also ends a pause made by `pauseForLogin`.
   */
  replace(
    accountId: AccountId,
    expectedGeneration: number | null,
    pair: TokenPair,
    origin?: TokenOrigin,
  ): Promise<boolean>;
  /** Pauses the account until somebody logs in again; an account that is paused already keeps its reason. */
  pauseForLogin(accountId: AccountId, reason: string): Promise<void>;
  /** The seller the account is bound to; null: not bound yet. */
  readSeller(accountId: AccountId): Promise<SellerId | null>;
  /**
   * `bound`: first use. `same`: already this one. `other_seller`, `taken`: refused, nothing written. `generation`: the
   * stored pair that told the seller; it counts as checked from then on.
   */
  bindSeller(
    accountId: AccountId,
    seller: { sellerId: SellerId; login: string },
    generation?: number,
  ): Promise<SellerBinding>;
}

export type SellerBinding =
  | { readonly kind: 'bound' | 'same' }
  | { readonly kind: 'other_seller'; readonly boundTo: string }
  | { readonly kind: 'taken'; readonly by: AccountId };
