import type { SeedRequest } from '../simulator/seed.js';
import type { SettingsChange } from '../simulator/settings.js';
import type { JudgedAccount } from '../src/local/oracle.js';

/** What the shops of a run sell, and the settings it runs with. */

export const WORKERS = 2;
const ACCOUNTS = 3;
const OFFERS_PER_ACCOUNT = 300;
const FIRST_SELLER_ID = 44_000_001;

/** Seconds from one run to the next. */
export const SCHEDULE_SECONDS = 15;
/** Requests in any 60 s: low, so that it is met. */
export const RATE_LIMIT = 600;
/** For so long a sale may stay unbooked; longer than any booking here takes. */
export const UNBOOKED_SALE_PATIENCE_SECONDS = 20;
/**
 * A write is judged by what was true up to this long ago: a paused worker (14 s) may wake with a number that it has read
 * before, and hold it back in a network that hangs (7 s), and a sale is booked within 3 s or when the database is back.
 */
export const JUDGE_GRACE_MS = 40_000;

/** 20 % of the offers, and never less than 10: what the guard allows one run to end. */
export const ALLOWED_ENDINGS = Math.max(10, OFFERS_PER_ACCOUNT * 0.2);

export const ENVIRONMENT = {
  ALLEGRO_SYNC_SCHEDULE: String(SCHEDULE_SECONDS),
  ALLEGRO_SYNC_RATE_LIMIT: String(RATE_LIMIT),
  ALLEGRO_SYNC_RETRY_DELAY: '1',
  COMMAND_PATIENCE: '10',
  UNBOOKED_SALE_PATIENCE: String(UNBOOKED_SALE_PATIENCE_SECONDS),
} as const;

export const SIMULATOR_SETTINGS: SettingsChange = {
  indexLagMs: 300,
  endingDelayMs: 300,
  operationDelayMs: 200,
  commandDelayMs: 500,
  // They are refreshed ten minutes before their end: here every 30 s.
  accessTokenLifetimeS: 630,
  applicationLimit: { requests: RATE_LIMIT },
  judgeGraceMs: JUDGE_GRACE_MS,
};

/** None that refuses its correction for good: such incidents would stay open, as they should. */
export function catalogueOf(seed: number): SeedRequest {
  return { seed, accounts: ACCOUNTS, offers: ACCOUNTS * OFFERS_PER_ACCOUNT, mix: { invalid: 0 } };
}

export const JUDGED_ACCOUNTS: readonly JudgedAccount[] = Array.from({ length: ACCOUNTS }, (_, index) => ({
  sellerId: String(FIRST_SELLER_ID + index),
  mode: 'live',
  buffer: 0,
  max: null,
  raise: true,
  lower: true,
  reactivate: true,
  atZero: 'end',
}));
