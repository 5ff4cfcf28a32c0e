/** Collects the tokens that go by between workers and marketplace, to be searched for in what was written. */
export interface Overheard {
  hear(data: Buffer): void;
  /** By a name. */
  readonly tokens: ReadonlyMap<string, string>;
}

const TOKENS = /(?:Bearer |"(?:access|refresh)_token":\s*"|refresh_token=)([\w.~+/-]+)/g;
/** A shorter one is the beginning of one that was carried in two pieces. */
const SHORTEST = 24;

export function createOverheard(): Overheard {
  const tokens = new Map<string, string>();
  const known = new Set<string>();
  return {
    tokens,
    hear(data) {
      for (const [, token = ''] of data.toString('latin1').matchAll(TOKENS)) {
        if (token.length < SHORTEST || known.has(token)) continue;
        known.add(token);
        tokens.set(`token ${known.size}`, token);
      }
    },
  };
}
