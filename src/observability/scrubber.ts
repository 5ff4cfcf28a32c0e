const CENSORED = '[secret]';

/** Shorter secrets are not searched for as bare words: they would shred ordinary text. They still fall to the patterns. */
const SHORTEST_SEARCHED = 8;
/** Learned secrets (tokens come and go) are forgotten, those first that were longest not seen; the configured ones never. */
const MOST_LEARNED = 500;

/** What secrets look like wherever they stand: also inside JSON that was put into a string. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)(\s+|%20)[\w.~+/=-]{16,}/gi, `$1 ${CENSORED}`],
  // Telegram's token is part of the address of each call.
  [/\/bot\d+(?::|%3A)[\w-]+/gi, `/bot${CENSORED}`],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, CENSORED],
  [
    /\b(access_token|refresh_token|client_secret|device_code|bot_token|api_key|password)(\\*["']?\s*[=:]\s*\\*["']?)[^\s&"'\\,}]+/gi,
    `$1$2${CENSORED}`,
  ],
  // User name and password of a connection address.
  [/:\/\/[^\s:/@"\\]*:[^\s/@"\\]+@/g, `://${CENSORED}@`],
];

export interface Scrubber {
  /** The text without any known secret and without anything that looks like one. */
  scrub(text: string): string;
  /** From now on this is a known secret too: for tokens that are fetched while running. */
  learn(secret: string): void;
}

/** The last line of defence of every output: replaces secrets in finished text, wherever they came from. */
export function createScrubber(secrets: readonly string[]): Scrubber {
  const configured = secrets.filter((secret) => secret.length >= SHORTEST_SEARCHED).map(formsOf);
  const learned = new Map<string, readonly string[]>();

  function learn(secret: string): void {
    if (secret.length < SHORTEST_SEARCHED) return;
    const forms = learned.get(secret) ?? formsOf(secret);
    learned.delete(secret);
    learned.set(secret, forms);
    const oldest = learned.keys().next().value;
    if (learned.size > MOST_LEARNED && oldest !== undefined) learned.delete(oldest);
  }

  function scrub(text: string): string {
    let scrubbed = text;
    for (const forms of [...configured, ...learned.values()]) {
      for (const form of forms) if (scrubbed.includes(form)) scrubbed = scrubbed.replaceAll(form, CENSORED);
    }
    for (const [pattern, replacement] of PATTERNS) scrubbed = scrubbed.replace(pattern, replacement);
    return scrubbed;
  }

  return { scrub, learn };
}

/** As it is, as an address writes it, and as JSON writes it, also JSON that was put into a string of other JSON. */
function formsOf(secret: string): string[] {
  const once = jsonForm(secret);
  const twice = jsonForm(once);
  return [...new Set([secret, encodeURIComponent(secret), once, twice, jsonForm(twice)])];
}

function jsonForm(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
