/** Longer waits are not believed: no block of Allegro lasts that long. */
const LONGEST_MS = 3_600_000;

/** `Retry-After` in ms: whole seconds or a date; null when absent or neither. */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  if (Number.isNaN(waitMs)) return null;
  return Math.min(Math.max(0, waitMs), LONGEST_MS);
}
