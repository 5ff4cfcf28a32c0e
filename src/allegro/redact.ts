/**
 * Allegro's answers may repeat what was sent to them. Before any of their text goes into an error or a log, the secrets
 * of the request and whatever looks like one are taken out.
 */

const LOOKS_LIKE_A_SECRET = [
  /\b(bearer|basic)\s+[\w.~+/=-]+/gi,
  // A JSON Web Token, also one that was cut off.
  /\beyJ[\w-]{5,}(\.[\w-]*)*/g,
  /\b(access_token|refresh_token|client_secret|device_code)(["']?\s*[:=]\s*["']?)[^\s"'&,}]+/gi,
];

const LONGEST_TEXT = 300;

/** The text without secrets and control characters, at most 300 characters. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    clean = clean.replaceAll(secret, '[redacted]').replaceAll(encodeURIComponent(secret), '[redacted]');
  }
  for (const pattern of LOOKS_LIKE_A_SECRET) clean = clean.replace(pattern, '[redacted]');
  // eslint's no-control-regex is right about typos, so the class is spelt by Unicode category.
  clean = clean.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return clean.length <= LONGEST_TEXT ? clean : `${clean.slice(0, LONGEST_TEXT - 1)}…`;
}

/** Header of a request as a log may show it; null when it is not an id. */
export function toTraceId(header: string | string[] | undefined): string | null {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) && !header.startsWith('eyJ') ? header : null;
}
