import { z } from 'zod';

import { isRecord } from './record.js';

const ms = z.number().min(0);
const count = z.int().min(0);
const windowSchema = z.strictObject({ perMinute: count.nullable(), perHour: count.nullable() });

/** Limits per seller and resource, as Allegro has told them (allegro-api #12700, #9983, #11160, the API document); null switches a bound off. */
const sellerLimitsSchema = z.strictObject({
  offerEdits: windowSchema,
  offerReads: windowSchema,
  partReads: windowSchema,
  quantityChanges: windowSchema,
  publicationChanges: windowSchema,
  bulkChanges: windowSchema,
  commandReads: windowSchema,
});

const settingsSchema = z.strictObject({
  /** How long a change stays unseen in the listing. */
  indexLagMs: ms,
  /** How long an event stays untold in the feeds, in which the newest one is found too. */
  eventLagMs: ms,
  /** Whether a cancelled order's pieces go back on sale. Unknown at Allegro. */
  cancellationsRestoreStock: z.boolean(),
  /** From stock 0 to status ENDED. */
  endingDelayMs: ms,
  /** From the 202 of an edit to its completion, and the Retry-After it is answered with. */
  operationDelayMs: ms,
  operationRetryAfterS: count,
  /** `status`: 202 for status changes only; `all`: for every edit. */
  asyncEdits: z.enum(['status', 'all']),
  /** 409 while an earlier edit of the offer is still being processed. */
  conflictWhileEditing: z.boolean(),
  /** From the registration of a command to its completion; counts stay zero for half of it. */
  commandDelayMs: ms,
  /** How long a fresh command answers 404 to its readers. */
  commandHiddenMs: ms,
  /** What a command id used again with the same content gets. */
  commandReplay: z.enum(['conflict', 'accept']),
  /** Whether quantity commands fail for offers that whole-offer validation refuses. Unknown at Allegro. */
  commandsValidateOffers: z.boolean(),
  /** The beta bulk command: there, or gone with this status. */
  bulkModification: z.enum(['on', 'not-found', 'not-acceptable']),
  /** Several `offer.id` filters: Allegro was seen to answer one offer only. */
  offerIdFilter: z.enum(['first', 'all']),
  /** Which listing rows carry nulls that Allegro's document does not allow but its tutorial shows. */
  nullsInRows: z.enum(['none', 'some', 'all']),
  rejectBadUserAgent: z.boolean(),
  /** Time to answer, log-normal through these two points. */
  latency: z.strictObject({ p50Ms: z.number().positive(), p99Ms: z.number().positive() }).nullable(),

  accessTokenLifetimeS: count,
  refreshTokenLifetimeS: count,
  refreshReuseMs: ms,
  maxSessions: z.int().min(1),
  deviceLifetimeS: count,
  deviceIntervalS: count,
  /** The tutorial shows the device flow's numbers as strings. */
  deviceNumbersAsStrings: z.boolean(),
  tokensPerMinute: count.nullable(),
  /** Client ids and secrets that are known; null accepts every one. */
  clients: z.record(z.string(), z.string()).nullable(),

  /** Per Client ID in any `windowMs`; over it, blocked for `blockMs`, which each request sent meanwhile starts anew. */
  applicationLimit: z
    .strictObject({ requests: z.int().min(1), windowMs: ms, blockMs: ms, prolong: z.boolean() })
    .nullable(),
  sellerLimits: sellerLimitsSchema.nullable(),
  /** How much a failed edit counts against the seller's limit. */
  failedEditWeight: z.int().min(1),

  /** Taken off the true stock before a write is judged; `buffers` by seller id goes before `buffer`. */
  buffer: count,
  buffers: z.record(z.string(), count),
  /** A write is judged by what was true up to this many ms ago: it may have been on its way when stock or offer changed. */
  judgeGraceMs: ms,
});

export type Settings = z.infer<typeof settingsSchema>;
export type SellerLimits = z.infer<typeof sellerLimitsSchema>;
export type SellerResource = keyof SellerLimits;

type DeepPartial<T> = T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;
/** What may be changed at run time: any part of the settings; records of numbers or texts are merged, not replaced. */
export type SettingsChange = DeepPartial<Settings>;

/** Allegro's limits and lifetimes with delays short enough for tests. */
export const FAST_SETTINGS: Settings = {
  indexLagMs: 0,
  eventLagMs: 0,
  cancellationsRestoreStock: false,
  endingDelayMs: 20,
  operationDelayMs: 20,
  operationRetryAfterS: 0,
  asyncEdits: 'status',
  conflictWhileEditing: true,
  commandDelayMs: 20,
  commandHiddenMs: 0,
  commandReplay: 'conflict',
  commandsValidateOffers: false,
  bulkModification: 'on',
  offerIdFilter: 'first',
  nullsInRows: 'some',
  rejectBadUserAgent: false,
  latency: null,
  accessTokenLifetimeS: 43_199,
  refreshTokenLifetimeS: 90 * 24 * 3600,
  refreshReuseMs: 60_000,
  maxSessions: 20,
  deviceLifetimeS: 3600,
  deviceIntervalS: 1,
  deviceNumbersAsStrings: false,
  tokensPerMinute: null,
  clients: null,
  applicationLimit: { requests: 9000, windowMs: 60_000, blockMs: 60_000, prolong: true },
  sellerLimits: {
    offerEdits: { perMinute: 2490, perHour: 74_700 },
    offerReads: { perMinute: 3500, perHour: null },
    partReads: { perMinute: 7000, perHour: null },
    quantityChanges: { perMinute: 9000, perHour: 250_000 },
    publicationChanges: { perMinute: 9000, perHour: 250_000 },
    bulkChanges: { perMinute: 9000, perHour: 150_000 },
    commandReads: { perMinute: 270_000, perHour: null },
  },
  failedEditWeight: 1,
  buffer: 0,
  buffers: {},
  judgeGraceMs: 0,
};

/** Delays of the size that Allegro shows. */
export const REALISTIC_DELAYS: SettingsChange = {
  indexLagMs: 2000,
  eventLagMs: 1000,
  endingDelayMs: 2000,
  operationDelayMs: 2000,
  operationRetryAfterS: 5,
  commandDelayMs: 3000,
  commandHiddenMs: 200,
  deviceIntervalS: 5,
  latency: { p50Ms: 80, p99Ms: 900 },
};

/** @throws ZodError naming each setting that is unknown or out of range. */
export function changeSettings(current: Settings, change: unknown): Settings {
  return settingsSchema.parse(merge(current, change));
}

function merge(current: unknown, change: unknown): unknown {
  if (!isRecord(current) || !isRecord(change)) return change;
  const merged: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(change)) {
    if (value !== undefined) merged[key] = merge(current[key], value);
  }
  return merged;
}
