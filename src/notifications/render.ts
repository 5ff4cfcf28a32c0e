import { OFFER_CONTESTED } from '../domain/contested.js';
import type {
  AccountProblemMessage,
  AlertMessage,
  HeldMessage,
  OfferFailure,
  OfferFailuresMessage,
  ResolvedMessage,
  SystemProblemMessage,
} from './notifier.js';

/** Telegram's limit of one message, in UTF-16 units; it counts after the tags are taken out, we count them too. */
export const LONGEST_TELEGRAM_MESSAGE = 4096;
/** More failures than this in one run of an account become a summary with the first ten. */
const MOST_TOLD_SINGLY = 5;
const MOST_LISTED = 10;
const MOST_CLASSES = 15;

export interface RenderOptions {
  /** IANA name as "Europe/Warsaw"; the process's own unless given. */
  readonly timeZone?: string;
}

/** A message as Telegram's HTML, at most 4096 characters, every text escaped and cut before it is escaped. */
export function renderTelegramHtml(message: AlertMessage, options: RenderOptions = {}): string {
  const time = timeWriter(options.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  switch (message.kind) {
    case 'offer_failures':
      return renderOfferFailures(message, time);
    case 'account_problem':
    case 'system_problem':
      return renderProblem(message, time);
    case 'held':
      return renderHeld(message, time);
    case 'resolved':
      return renderResolved(message, time);
    case 'test':
      return assemble({
        head: `✅ <b>Test message</b>\nAlerts of allegro-stock-sync arrive here.\n${time(message.at)}`,
        blocks: [],
        foot: '',
      });
  }
}

/** The same as plain text. */
export function renderText(message: AlertMessage, options: RenderOptions = {}): string {
  return unescapeHtml(renderTelegramHtml(message, options).replace(/<\/?(b|code)>/g, ''));
}

type TimeWriter = (iso: string) => string;

function renderOfferFailures(message: OfferFailuresMessage, time: TimeWriter): string {
  const total = Math.max(
    message.failures.length,
    Object.values(message.countsByClass).reduce((sum, count) => sum + count, 0),
  );
  const isSummary = total > MOST_TOLD_SINGLY;
  const listed = message.failures.slice(0, isSummary ? MOST_LISTED : MOST_TOLD_SINGLY);
  const offers = total === 1 ? 'An offer' : `${total} offers`;
  const head = [
    `❗ <b>${offers} could not be corrected</b>`,
    `Account: <b>${cut(message.accountName, 80)}</b> (${cut(message.accountId, 64)})`,
    ...(isSummary ? [renderCounts(message.countsByClass), `First ${listed.length}:`] : []),
  ].join('\n');
  // A contested offer is skipped, not failed.
  const bucket = Object.hasOwn(message.countsByClass, OFFER_CONTESTED) ? '' : ' --bucket failed';
  return assemble({
    head,
    blocks: listed.map((failure) => renderFailure(isSummary ? withoutAction(failure) : failure, time)),
    foot: `<b>Manual check required.</b>\nAll of them: <code>allegro-stock-sync changes --run ${cut(message.runId, 64)}${bucket}</code>`,
    leftOut: (count) => `… and ${count} more of the first ${listed.length}`,
  });
}

function renderCounts(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a);
  const lines = sorted.slice(0, MOST_CLASSES).map(([name, count]) => `${count} × ${cut(name, 40)}`);
  const rest = sorted.slice(MOST_CLASSES).reduce((sum, [, count]) => sum + count, 0);
  return [...lines, ...(rest > 0 ? [`${rest} × other`] : [])].join('\n');
}

/** Ten offers with advice each do not fit into one message. */
function withoutAction({ action: _action, ...failure }: OfferFailure): OfferFailure {
  return failure;
}

function renderFailure(failure: OfferFailure, time: TimeWriter): string {
  const risk = failure.piecesAtRisk;
  return [
    ...(risk === undefined ? [] : [`⚠️ <b>Oversell risk: ${risk} ${risk === 1 ? 'piece' : 'pieces'}</b>`]),
    `SKU <code>${cut(failure.sku, 64)}</code>, offer <code>${cut(failure.offerId, 64)}</code>`,
    `Stock: ${failure.current ?? 'unknown'} → ${failure.target}`,
    `Error: ${cut(failure.errorClass, 40)}: ${cut(failure.error, 200)}`,
    ...(failure.action === undefined ? [] : [`To do: ${cut(failure.action, 160)}`]),
    `Attempts: ${failure.attempts}, ${time(failure.at)}`,
  ].join('\n');
}

function renderProblem(message: AccountProblemMessage | SystemProblemMessage, time: TimeWriter): string {
  const isAccount = message.kind === 'account_problem';
  const head = [
    `❗ <b>${message.isReminder === true ? 'Still open: ' : ''}${cut(message.title, 150)}</b>`,
    ...(isAccount ? [`Account: <b>${cut(message.accountName, 80)}</b> (${cut(message.accountId, 64)})`] : []),
    `Error: ${cut(message.class, 40)}: ${cut(message.details, 400)}`,
    `Since ${time(message.since)}`,
    ...(message.action === undefined ? [] : [`To do: ${cut(message.action, 300)}`]),
  ];
  return assemble({ head: head.join('\n'), blocks: [], foot: '' });
}

function renderHeld(message: HeldMessage, time: TimeWriter): string {
  const changes = message.heldCount === 1 ? 'A change is' : `${message.heldCount} changes are`;
  const account = cut(message.accountId, 64);
  const run = cut(message.runId, 64);
  return assemble({
    head: [
      `✋ <b>${changes} held back</b>`,
      `Account: <b>${cut(message.accountName, 80)}</b> (${account})`,
      cut(message.details, 400),
      time(message.at),
    ].join('\n'),
    blocks: [],
    foot: [
      `To see them: <code>allegro-stock-sync changes --run ${run} --bucket held</code>`,
      `To let them through, within 24 h: <code>allegro-stock-sync accounts approve ${account} --run ${run}</code>`,
    ].join('\n'),
  });
}

function renderResolved(message: ResolvedMessage, time: TimeWriter): string {
  const { accountId, accountName } = message;
  return assemble({
    head: [
      '✅ <b>Over</b>',
      ...(accountId === undefined
        ? []
        : [`Account: <b>${cut(accountName ?? accountId, 80)}</b> (${cut(accountId, 64)})`]),
    ].join('\n'),
    blocks: message.titles.slice(0, MOST_LISTED).map((title) => cut(title, 150)),
    foot: `Since ${time(message.since)}\nOver ${time(message.at)}`,
    leftOut: (count) => `… and ${count + Math.max(0, message.titles.length - MOST_LISTED)} more`,
    alwaysLeftOut: Math.max(0, message.titles.length - MOST_LISTED),
  });
}

interface Parts {
  readonly head: string;
  /** Whole pieces of HTML: left out from the end when there is no room. */
  readonly blocks: readonly string[];
  readonly foot: string;
  readonly leftOut?: (count: number) => string;
  /** Blocks that the caller left out already. */
  readonly alwaysLeftOut?: number;
}

/** As many whole blocks as there is room for: a tag or an entity is never cut. */
function assemble({
  head,
  blocks,
  foot,
  leftOut = (count) => `… and ${count} more`,
  alwaysLeftOut = 0,
}: Parts): string {
  for (let shown = blocks.length; ; shown--) {
    const missing = blocks.length - shown;
    const note = missing + alwaysLeftOut > 0 ? [leftOut(missing)] : [];
    const html = [head, ...blocks.slice(0, shown), ...note, foot].filter((part) => part !== '').join('\n\n');
    if (html.length <= LONGEST_TELEGRAM_MESSAGE || shown === 0) return html;
  }
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * On one line, without control characters, escaped for Telegram's HTML, and at most so many UTF-16 units long after
 * that; what people see as one character is never split.
 */
function cut(text: string, most: number): string {
  // What is thrown away anyway need not be looked at.
  const line = text
    .slice(0, most * 4)
    .replace(/\p{Cs}/gu, '\ufffd')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  const whole = escapeHtml(line);
  if (whole.length <= most) return whole;
  let short = '';
  for (const { segment } of graphemes.segment(line)) {
    const escaped = escapeHtml(segment);
    if (short.length + escaped.length > most - 1) break;
    short += escaped;
  }
  return `${short}…`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescapeHtml(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

/** "2026-11-23 15:47:01 GMT+01:00". */
function timeWriter(timeZone: string): TimeWriter {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'longOffset',
  });
  return (iso) => {
    const parts = new Map(format.formatToParts(new Date(iso)).map((part) => [part.type, part.value]));
    const part = (name: Intl.DateTimeFormatPartTypes): string => parts.get(name) ?? '';
    const date = `${part('year')}-${part('month')}-${part('day')}`;
    return `${date} ${part('hour')}:${part('minute')}:${part('second')} ${part('timeZoneName')}`;
  };
}
