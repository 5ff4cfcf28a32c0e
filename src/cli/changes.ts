import { stringify } from 'csv-stringify/sync';
import type { Command } from 'commander';
import { z } from 'zod';
import { BUCKETS } from '../domain/buckets.js';
import type { Db } from '../storage/database.js';
import {
  findRuns,
  listHistory,
  listRunOffers,
  isKnownOfferOrSku,
  readOffersOf,
  type ChangeRecord,
  type RunOffer,
} from '../storage/reports.js';
import { requireAccounts } from './account-lookup.js';
import { addCommand, type RunCommand } from './command.js';
import { UsageError } from './failures.js';
import { accountId, flag, oneOf, runId, wholeNumber } from './inputs.js';
import type { Output } from './output.js';

const CSV_COLUMNS = [
  'accountId',
  'runId',
  'offerId',
  'sku',
  'name',
  'bucket',
  'reason',
  'kind',
  'valueBefore',
  'target',
  'valueSent',
  'attempts',
  'errorCode',
  'errorMessage',
  'plannedAt',
  'sentAt',
  'settledAt',
] as const;

export function registerChanges(program: Command, runCommand: RunCommand): void {
  addCommand(program, runCommand, {
    usage: 'changes',
    summary: 'list every planned, held, skipped, failed and written offer of a run, with its reason',
    details:
      'Skipped offers that differ (excluded, quarantined, switched_off, activating) are kept with each run, and those\n' +
      'that somebody has ended (ended_by_other) with the first that finds them so; the others are remembered for the\n' +
      'newest run only.',
    options: [
      { flags: '--run <run>', description: 'a run, or the run over all accounts (required)' },
      { flags: '--account <id>', description: 'only this account' },
      { flags: '--bucket <bucket>', description: `only this one: ${BUCKETS.join(', ')}` },
      { flags: '--csv', description: 'print CSV' },
    ],
    examples: ['changes --run 0198c2f4-5f0e-4c55-9d5e-6a2f0f7f6f11 --bucket failed'],
    input: z
      .object({
        run: z.string('is required').pipe(runId),
        account: accountId.optional(),
        bucket: oneOf(BUCKETS).optional(),
        csv: flag,
        json: flag,
      })
      .refine(({ csv, json }) => !(csv && json), 'name --csv or --json, not both'),
    needs: ['database'],
    run: async ({ run, account, bucket, csv }, { services, output }) => {
      const db = await services.database();
      await requireAccounts(db, account === undefined ? [] : [account]);
      const runIds = await requireRuns(db, run, account);
      const offers = await listRunOffers(db, runIds, bucket);
      if (csv) output.raw(toCsv(offers));
      else if (offers.length === 0) output.print('No such offers in this run.');
      else output.table(['account', 'offer', 'sku', 'bucket', 'stock', 'attempts', 'why'], offers.map(toRow));
      output.json(offers);
      return 0;
    },
  });
  addCommand(program, runCommand, {
    usage: 'history <offer-or-sku>',
    summary: 'show what was written to an offer, or to all offers of a SKU: when, why, with which answer',
    options: [
      { flags: '--account <id>', description: 'only this account' },
      { flags: '--limit <changes>', description: 'at most this many, the newest first; default: 50' },
    ],
    examples: ['history TEA-100', 'history 7680123456 --account shop-1'],
    input: z.object({
      offerOrSku: z.string().trim().min(1, 'is empty'),
      account: accountId.optional(),
      limit: wholeNumber({ min: 1, max: 100_000 }).default(50),
    }),
    needs: ['database'],
    run: async ({ offerOrSku, account, limit }, { services, output }) => {
      const db = await services.database();
      await requireAccounts(db, account === undefined ? [] : [account]);
      const changes = await listHistory(db, {
        offerOrSku,
        limit,
        ...(account === undefined ? {} : { accountId: account }),
      });
      if (changes.length === 0 && !(await isKnownOfferOrSku(db, offerOrSku))) {
        throw new UsageError(
          `<offer-or-sku>: "${offerOrSku}" is no offer seen so far, and no SKU of an offer or of the stock`,
        );
      }
      if (changes.length === 0) await printNoHistory(db, output, { offerOrSku, account });
      else
        output.table(
          ['time', 'account', 'offer', 'sku', 'bucket', 'stock', 'attempts', 'why, answer', 'run'],
          changes.map(toHistoryRow),
        );
      output.json(changes);
      return 0;
    },
  });
}

/** How many offers of a SKU without a history are shown. */
const MOST_OFFERS_SHOWN = 50;

/** What differed may have left the history, such as an offer that somebody ended long ago: as it was seen last. */
async function printNoHistory(
  db: Db,
  output: Output,
  { offerOrSku, account }: { offerOrSku: string; account: string | undefined },
): Promise<void> {
  output.print('Nothing is on record: no change was planned or written as far back as HISTORY_RETENTION_DAYS reaches.');
  const offers = await readOffersOf(db, { offerOrSku, account, limit: MOST_OFFERS_SHOWN });
  if (offers.length === 0) return;
  output.table(
    ['seen last', 'account', 'offer', 'sku', 'seen as', 'stock', 'why'],
    offers.map(({ seenAt, accountId: owner, offerId, sku, bucket, available, reason, goneAt }) => [
      seenAt.toISOString(),
      owner,
      offerId,
      sku ?? '-',
      goneAt === null ? bucket : 'gone',
      String(available),
      reason ?? '-',
    ]),
  );
}

async function requireRuns(db: Db, run: string, account: Parameters<typeof findRuns>[2]): Promise<string[]> {
  const runs = await findRuns(db, run, account);
  if (runs.length > 0) return runs.map((found) => found.runId);
  throw new UsageError(`--run: unknown run ${run}${account === undefined ? '' : ` of account "${account}"`}`);
}

/** Text that a spreadsheet would run as a formula is kept from it by an apostrophe (OWASP, CSV injection). */
function toCsv(offers: readonly RunOffer[]): string {
  return stringify([...offers], {
    header: true,
    columns: [...CSV_COLUMNS],
    escape_formulas: true,
    cast: { date: (value) => value.toISOString() },
  });
}

function describeStock({ kind, valueBefore, target, valueSent, sentBefore }: RunOffer): string {
  if (target === null) return String(valueBefore);
  const last = valueSent === null || (valueSent === target && sentBefore.length === 0) ? [] : [valueSent];
  const numbers = [...sentBefore, ...last];
  const sent = numbers.length === 0 ? '' : ` (sent ${numbers.join(', then ')})`;
  return `${valueBefore} → ${target}${sent}${kind === null ? '' : ` ${kind}`}`;
}

function describeReason({ reason, errorCode, errorMessage }: RunOffer): string {
  const code = errorCode === null ? '' : ` [${errorCode}]`;
  return (
    [reason, errorMessage === null ? null : `${errorMessage}${code}`].filter((text) => text !== null).join(': ') || '-'
  );
}

function toRow(offer: RunOffer): string[] {
  return [
    offer.accountId,
    offer.offerId,
    offer.sku ?? '-',
    offer.bucket,
    describeStock(offer),
    String(offer.attempts),
    describeReason(offer),
  ];
}

function toHistoryRow(change: ChangeRecord): string[] {
  const { traceId } = change.answer ?? {};
  const trace = typeof traceId === 'string' ? ` (trace-id ${traceId})` : '';
  return [
    (change.settledAt ?? change.sentAt ?? change.plannedAt)?.toISOString() ?? '-',
    change.accountId,
    change.offerId,
    change.sku ?? '-',
    change.bucket,
    describeStock(change),
    String(change.attempts),
    `${describeReason(change)}${trace}`,
    change.runId,
  ];
}
