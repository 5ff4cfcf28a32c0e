/** What goes by between workers and marketplace. */
export interface Overheard {
  hear(data: Buffer): void;
  /** By a name, to be searched for in what was written. */
  readonly tokens: ReadonlyMap<string, string>;
  /** What would change offers, whether or not it arrived. */
  readonly writes: readonly HeardWrite[];
  /** Offers for which a command has failed, each time it was told. */
  readonly failedTasks: readonly HeardTask[];
}

/** Times in ms since 1970. */
export interface HeardWrite {
  readonly at: number;
  readonly path: string;
}

export interface HeardTask {
  readonly at: number;
  readonly offerId: string;
}

const TOKENS = /(?:Bearer |"(?:access|refresh)_token":\s*"|refresh_token=)([\w.~+/-]+)/g;
/** A shorter one is the beginning of one that was carried in two pieces. */
const SHORTEST = 24;
/** A request begins a piece: nothing is sent before the answer to what was sent before. */
const WRITE = /^(?:PATCH|PUT|POST) (\/sale\/[^ ?]+)/;
/** As the simulator writes the tasks of either kind of command. */
const FAILED_TASK = /"(?:offer":\{"id|subject":\{"offerId)":"(\d+)"[^{}]*\},(?:"field":"\w+",)?"status":"FAIL"/g;

export function createOverheard(): Overheard {
  const tokens = new Map<string, string>();
  const known = new Set<string>();
  const writes: HeardWrite[] = [];
  const failedTasks: HeardTask[] = [];

  function hearTokens(text: string): void {
    for (const [, token = ''] of text.matchAll(TOKENS)) {
      if (token.length < SHORTEST || known.has(token)) continue;
      known.add(token);
      tokens.set(`token ${known.size}`, token);
    }
  }

  return {
    tokens,
    writes,
    failedTasks,
    hear(data) {
      const at = Date.now();
      const text = data.toString('latin1');
      hearTokens(text);
      const path = WRITE.exec(text)?.[1];
      if (path !== undefined) writes.push({ at, path });
      for (const [, offerId = ''] of text.matchAll(FAILED_TASK)) failedTasks.push({ at, offerId });
    },
  };
}
