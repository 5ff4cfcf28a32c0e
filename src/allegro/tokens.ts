import { setTimeout as sleep } from 'node:timers/promises';
import { SyncError } from '../domain/errors.js';
import type { AccountId, SellerId } from '../domain/ids.js';
import type { StoredTokens, TokenPair, TokenStore } from '../domain/token-store.js';
import type { OAuth } from './oauth.js';

/** A pair with less left is refreshed before it is used. */
const REFRESH_BEFORE_MS = 10 * 60_000;
/** How long a pair is used without asking the store: a login to another shop is noticed after this long at the latest. */
const CACHED_FOR_MS = 15_000;
/** Allegro takes a used refresh token for 60 s more (allegro-api #4136); this leaves time for the last try. */
const REPEAT_WITHIN_MS = 50_000;
/** Storing a new pair is worth waiting for PostgreSQL: until it is stored it exists only here. */
const STORE_WITHIN_MS = 60_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Three months at the least: of a refresh token that is never used (tutorial on authorization). */
const REFRESH_TOKEN_LIFE_MS = 89 * 24 * 3_600_000;
const WARN_BEFORE_MS = 14 * 24 * 3_600_000;

/** When the account needs a new login if nothing refreshes its tokens until then. */
export function refreshTokenExpiresAt(tokens: Pick<StoredTokens, 'storedAt'>): Date {
  return new Date(tokens.storedAt.getTime() + REFRESH_TOKEN_LIFE_MS);
}

/** Whether somebody should be told: it dies within 14 days. */
export function isRefreshTokenDying(tokens: Pick<StoredTokens, 'storedAt'>, now: Date): boolean {
  return refreshTokenExpiresAt(tokens).getTime() - now.getTime() < WARN_BEFORE_MS;
}

/** A token to send, with what is known about whose it is. */
export interface UsableToken {
  readonly accessToken: string;
  readonly generation: number;
  /** null: the account is not bound to a seller, or it is not known whether this token is that seller's. */
  readonly sellerId: SellerId | null;
}

/**
 * The accounts' tokens, refreshed when less than 10 minutes are left or when Allegro refused one. One refresh at a time:
 * of this process by sharing it, of all processes by the store's lock; a new pair is stored before it is used.
 *
 * Throws SyncErrors: `TokenRevoked` (the account has been paused, or was never authorized), `ApplicationRefused`,
 * `RateLimited`, `MarketplaceUnavailable`, `DependencyUnavailable`, `InvalidAnswer`.
 */
export interface TokenSource {
  current(accountId: AccountId): Promise<UsableToken>;
  /** After a 401 to that generation: the stored pair if it is another one, else a refreshed one. */
  afterRefusal(accountId: AccountId, refusedGeneration: number): Promise<UsableToken>;
  /** What is cached of the account is out of date, as after a login or when its seller was checked. */
  forget(accountId: AccountId): void;
}

export interface TokenSourceOptions {
  readonly store: TokenStore;
  readonly oauth: Pick<OAuth, 'refresh'>;
  /** Milliseconds since 1970; tests put in their own. */
  readonly now?: () => number;
}

interface Known {
  readonly tokens: StoredTokens;
  readonly sellerId: SellerId | null;
  readonly readAt: number;
}

export function createTokenSource({ store, oauth, now = Date.now }: TokenSourceOptions): TokenSource {
  const known = new Map<AccountId, Known>();
  const reading = new Map<AccountId, Promise<Known>>();
  const refreshing = new Map<AccountId, Promise<Known>>();
  /** Pairs that Allegro has issued and the store has not taken yet. */
  const unstored = new Map<AccountId, { readonly generation: number; readonly pair: TokenPair }>();

  async function readStored(accountId: AccountId): Promise<Known> {
    const waiting = unstored.get(accountId);
    if (waiting !== undefined) {
      await store.replace(accountId, waiting.generation, waiting.pair, 'refresh');
      unstored.delete(accountId);
    }
    const [tokens, sellerId] = await Promise.all([store.read(accountId), store.readSeller(accountId)]);
    if (tokens === null) {
      known.delete(accountId);
      throw new SyncError(
        'TokenRevoked',
        `Account "${accountId}" is not logged in at Allegro: accounts authorize ${accountId}.`,
      );
    }
    const entry = { tokens, sellerId: tokens.isSellerChecked ? sellerId : null, readAt: now() };
    known.set(accountId, entry);
    return entry;
  }

  const read = (accountId: AccountId): Promise<Known> => shared(reading, accountId, () => readStored(accountId));

  function isExpiring({ tokens }: Known): boolean {
    return tokens.accessExpiresAt.getTime() - now() < REFRESH_BEFORE_MS;
  }

  function refresh(accountId: AccountId, refusedGeneration: number | null): Promise<Known> {
    return shared(refreshing, accountId, () =>
      store.withRefreshLock(accountId, async () => {
        const entry = await readStored(accountId);
        // Somebody else refreshed, or logged in, while the lock was waited for.
        if (entry.tokens.generation !== refusedGeneration && !isExpiring(entry)) return entry;
        return refreshStored(accountId, entry.tokens);
      }),
    );
  }

  async function refreshStored(accountId: AccountId, tokens: StoredTokens): Promise<Known> {
    await store.markRefreshStarted(accountId, tokens.generation);
    let pair: TokenPair;
    try {
      pair = await askUntilAnswered(accountId, tokens.refreshToken);
    } catch (error) {
      if (!(error instanceof SyncError) || error.type !== 'TokenRevoked') throw error;
      return afterRevocation(accountId, tokens, error);
    }
    unstored.set(accountId, { generation: tokens.generation, pair });
    return storeBeforeUse(accountId);
  }

  /** An answer that was lost may have used up the token: the same one is sent again while Allegro takes it. */
  async function askUntilAnswered(accountId: AccountId, refreshToken: string): Promise<TokenPair> {
    const startedAt = now();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await oauth.refresh(accountId, refreshToken);
      } catch (error) {
        const isLost = error instanceof SyncError && LOST.has(error.type);
        if (!isLost || now() - startedAt + pauseMs > REPEAT_WITHIN_MS) throw error;
      }
      await sleep(pauseMs);
    }
  }

  async function storeBeforeUse(accountId: AccountId): Promise<Known> {
    const startedAt = now();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        // Stores what waits, and takes what is stored now: another pair may have come first.
        return await readStored(accountId);
      } catch (error) {
        const isAway = error instanceof SyncError && error.type === 'DependencyUnavailable';
        if (!isAway || now() - startedAt + pauseMs > STORE_WITHIN_MS) throw error;
      }
      await sleep(pauseMs);
    }
  }

  async function afterRevocation(accountId: AccountId, tried: StoredTokens, refusal: SyncError): Promise<Known> {
    const entry = await readStored(accountId);
    if (entry.tokens.generation !== tried.generation) return entry;
    known.delete(accountId);
    const interrupted =
      tried.refreshStartedAt === null
        ? ''
        : ` A refresh that was begun at ${tried.refreshStartedAt.toISOString()} was interrupted before its answer was stored.`;
    await store.pauseForLogin(accountId, `${refusal.message}${interrupted}`);
    throw new SyncError('TokenRevoked', `${refusal.message}${interrupted}`, refusal.facts);
  }

  function usable({ tokens, sellerId }: Known): UsableToken {
    return { accessToken: tokens.accessToken, generation: tokens.generation, sellerId };
  }

  return {
    async current(accountId) {
      const cached = known.get(accountId);
      const entry = cached !== undefined && now() - cached.readAt < CACHED_FOR_MS ? cached : await read(accountId);
      return usable(isExpiring(entry) ? await refresh(accountId, null) : entry);
    },
    async afterRefusal(accountId, refusedGeneration) {
      const cached = known.get(accountId);
      if (cached !== undefined && cached.tokens.generation !== refusedGeneration) return usable(cached);
      const entry = await read(accountId);
      if (entry.tokens.generation !== refusedGeneration && !isExpiring(entry)) return usable(entry);
      return usable(await refresh(accountId, refusedGeneration));
    },
    forget(accountId) {
      known.delete(accountId);
    },
  };
}

const LOST: ReadonlySet<string> = new Set(['MarketplaceUnavailable', 'InvalidAnswer']);

/** Whoever asks while the answer is under way gets the same one. */
function shared<Key, Value>(underWay: Map<Key, Promise<Value>>, key: Key, work: () => Promise<Value>): Promise<Value> {
  const before = underWay.get(key);
  if (before !== undefined) return before;
  const promise = work().finally(() => underWay.delete(key));
  underWay.set(key, promise);
  return promise;
}
