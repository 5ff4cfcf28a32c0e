import type { TokenPair, TokenStore } from '../domain/token-store.js';

/** The store, telling of every token before it is given to anybody: so the log's scrubber knows those fetched while running. */
export function withLearnedTokens(store: TokenStore, learn: (secret: string) => void): TokenStore {
  const learnPair = ({ accessToken, refreshToken }: TokenPair): void => {
    learn(accessToken);
    learn(refreshToken);
  };
  return {
    ...store,
    async read(accountId) {
      const tokens = await store.read(accountId);
      if (tokens !== null) learnPair(tokens);
      return tokens;
    },
    replace(accountId, expectedGeneration, pair, origin) {
      learnPair(pair);
      return store.replace(accountId, expectedGeneration, pair, origin);
    },
  };
}
