import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { GuardVerdict } from '../domain/guards.js';

/** The tables as kysely sees them: column names in camelCase (CamelCasePlugin), created by `migrations/`. */
export interface Database {
  accounts: AccountsTable;
  accountTokens: AccountTokensTable;
  stockLevels: StockLevelsTable;
  offers: OffersTable;
  excludedOffers: ExcludedOffersTable;
  quarantinedOffers: QuarantinedOffersTable;
  syncRuns: SyncRunsTable;
  offerChanges: OfferChangesTable;
  commands: CommandsTable;
  approvals: ApprovalsTable;
  incidents: IncidentsTable;
  outbox: OutboxTable;
  stopSwitch: StopSwitchTable;
  scheduleTicks: ScheduleTicksTable;
  sales: SalesTable;
  saleCursors: SaleCursorsTable;
}

/** Set by the database unless given. */
type Timestamp = ColumnType<Date, Date | undefined, Date>;
type Json<Value> = ColumnType<Value, string, string>;
type JsonOrNull<Value> = ColumnType<Value | null, string | null | undefined, string | null>;

export interface AccountsTable {
  id: string;
  name: string;
  mode: Generated<'preview' | 'live'>;
  sellerId: string | null;
  sellerLogin: string | null;
  pausedReason: string | null;
  pausedAt: Date | null;
  fence: Generated<number>;
  buffer: Generated<number>;
  maxQuantity: number | null;
  raise: Generated<boolean>;
  lower: Generated<boolean>;
  reactivate: Generated<boolean>;
  atZero: Generated<'end' | 'one' | 'keep'>;
  lastCompleteAt: Date | null;
  lastCompleteActive: number | null;
  /** A bigint. */
  lastCompletePieces: string | null;
  stockRows: number | null;
  stockFilled: number | null;
  stockCountedAt: Date | null;
  firstCompleteLiveAt: Date | null;
  busyTicks: Generated<number>;
  busyTick: string | null;
  /** Class of the problem for which its last run could not be opened. */
  unopenedClass: string | null;
  bulkRetryAt: Date | null;
  createdAt: Timestamp;
  liveSince: Date | null;
}

export interface AccountTokensTable {
  accountId: string;
  generation: number;
  keyId: string;
  accessToken: Buffer;
  refreshToken: Buffer;
  accessExpiresAt: Date;
  storedAt: Timestamp;
  refreshStartedAt: Date | null;
  sellerChecked: Generated<boolean>;
}

export interface StockLevelsTable {
  sku: string;
  warehouse: Generated<string>;
  quantity: number;
  updatedAt: Timestamp;
}

export interface OffersTable {
  accountId: string;
  offerId: string;
  sku: string | null;
  name: string;
  format: string;
  status: string;
  available: number;
  sold: number;
  isFulfillment: boolean;
  endedAt: Date | null;
  endedBy: string | null;
  endedByFor: Date | null;
  endedByUsAt: Date | null;
  knownAvailable: number;
  knownAt: Date;
  beforeWrite: number | null;
  beforeWriteStatus: string | null;
  writtenAt: Date | null;
  unbookedSince: Date | null;
  unbookedStockAt: Date | null;
  hadStock: Generated<boolean>;
  lastRunId: string | null;
  bucket: string;
  reason: string | null;
  seenAt: Date;
  endingExplained: boolean | null;
  soldBeforeEnding: number | null;
  goneAt: Date | null;
  lookedAt: Date | null;
  listedAs: string | null;
  knownSku: string | null;
}

export interface ExcludedOffersTable {
  accountId: string;
  offerId: string;
  reason: string | null;
  createdAt: Timestamp;
}

export interface QuarantinedOffersTable {
  accountId: string;
  offerId: string;
  errorClass: string;
  errorCode: string | null;
  message: string;
  rejections: Generated<number>;
  since: Timestamp;
  retryAt: Date;
  available: number;
  status: string;
  target: number;
  listedAs: string | null;
}

export type ChangeKindColumn = 'end' | 'lower' | 'reactivate' | 'raise';
export type ChangeStateColumn =
  'planned' | 'sending' | 'confirmed' | 'rejected' | 'unknown' | 'superseded' | 'held' | 'in_sync';

export interface SyncRunsTable {
  id: string;
  accountId: string;
  groupId: string;
  workflowId: string;
  executionId: string;
  trigger: string;
  mode: 'preview' | 'live';
  skus: JsonOrNull<string[]>;
  fence: number;
  state: Generated<'open' | 'closed'>;
  outcome: string | null;
  failure: JsonOrNull<{ class: string; message: string }>;
  isComplete: Generated<boolean>;
  seen: number | null;
  totalCount: number | null;
  buckets: JsonOrNull<Record<string, number>>;
  skipped: JsonOrNull<Record<string, number>>;
  failed: JsonOrNull<Record<string, number>>;
  held: JsonOrNull<Record<string, number>>;
  guard: JsonOrNull<GuardVerdict>;
  requests: Generated<number>;
  batches: Generated<number>;
  startedAt: Timestamp;
  finishedAt: Date | null;
}

export interface OfferChangesTable {
  runId: string;
  offerId: string;
  accountId: string;
  sku: string;
  kind: ChangeKindColumn;
  state: ChangeStateColumn;
  reason: string | null;
  route: Generated<'patch' | 'command' | 'bulk' | 'end_command'>;
  batch: number | null;
  commandId: string | null;
  valueBefore: number;
  statusBefore: string;
  /** null: planned before this was kept. */
  soldBefore: number | null;
  target: number;
  valueSent: number | null;
  /** Other numbers that were marked as sent before `valueSent`, the first one first. */
  sentBefore: Generated<number[]>;
  attempts: Generated<number>;
  operation: string | null;
  endsByStatus: Generated<boolean>;
  errorClass: string | null;
  errorCode: string | null;
  errorMessage: string | null;
  answer: JsonOrNull<Record<string, unknown>>;
  plannedAt: Timestamp;
  sentAt: Date | null;
  zeroSentAt: Date | null;
  endSentAt: Date | null;
  settledAt: Date | null;
}

export interface CommandsTable {
  id: string;
  accountId: string;
  runId: string;
  kind: 'quantity' | 'bulk' | 'end';
  quantity: number | null;
  quantities: JsonOrNull<number[]>;
  offerIds: Json<string[]>;
  state: Generated<'planned' | 'sent' | 'accepted' | 'complete' | 'failed' | 'superseded'>;
  priority: number;
  errorClass: string | null;
  errorMessage: string | null;
  createdAt: Timestamp;
  sentAt: Date | null;
  settledAt: Date | null;
}

export interface ApprovalsTable {
  id: Generated<string>;
  accountId: string;
  runId: string;
  offerId: string;
  target: number;
  expiresAt: Date;
  usedAt: Date | null;
  usedBy: string | null;
}

export interface IncidentsTable {
  id: Generated<string>;
  accountId: string | null;
  offerId: string | null;
  class: string;
  title: string;
  details: JSONColumnType<Record<string, unknown>>;
  state: Generated<'open' | 'resolved'>;
  occurrences: Generated<number>;
  runId: string | null;
  openedAt: Timestamp;
  lastSeenAt: Timestamp;
  resolvedAt: Date | null;
}

export interface OutboxTable {
  id: Generated<string>;
  dedupeKey: string;
  message: Json<Record<string, unknown>>;
  createdAt: Timestamp;
  sentAt: Date | null;
  attempts: Generated<number>;
  retryAt: Timestamp;
  blockedUntil: Date | null;
  lastError: string | null;
}

export interface StopSwitchTable {
  onlyRow: Generated<boolean>;
  isStopped: Generated<boolean>;
  reason: string | null;
  changedAt: Timestamp;
}

export interface ScheduleTicksTable {
  onlyRow: Generated<boolean>;
  lost: number;
  started: number;
  madeAt: Date | null;
}

export interface SalesTable {
  accountId: string;
  key: string;
  offerId: string;
  sku: string;
  quantity: number;
  boughtAt: Date;
}

export interface SaleCursorsTable {
  accountId: string;
  cursor: string | null;
  readAt: Timestamp;
  errorClass: string | null;
  errorMessage: string | null;
}
