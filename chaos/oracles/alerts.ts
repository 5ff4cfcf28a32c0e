import { renderTelegramHtml } from '../../src/notifications/render.js';
import { alertMessageSchema } from '../../src/notifications/notifier.js';
import type { Evidence, IncidentRow, OutboxRow } from '../evidence.js';
import type { DealtFault } from '../fault.js';
import { WORKERS } from '../shop.js';
import type { OracleVerdict } from './verdict.js';

/**
 * Only its sender notes that a message has arrived, at once, and while its lease lasts (15 s, src/notifications/deliver.ts).
 * The chat that is down or answers 429 has not taken the message, so that no fault of the chat excuses a repeat.
 */
const NOTED_WITHIN_MS = 15_000;
const CLOCK_SLACK_MS = 1_000;
/** A failure is Allegro's or the stock feed's, or it is none to tell of. */
const TRUE_TO_TELL = [
  ...['OfferRejected', 'OfferConflict', 'OutcomeUnknown', 'InvalidAnswer', 'MarketplaceUnavailable'],
  ...['Held', 'StockRowVanished'],
  // Observations, true of a Schedule of seconds.
  ...['NoCompleteRun', 'StillRunning', 'ScheduleSkips', 'NoWorkerPolls'],
];

/** Each incident was told, none too often, all are over, and none was of a failure that was not Allegro's. */
export function judgeAlerts(evidence: Evidence, faults: readonly DealtFault[]): OracleVerdict[] {
  const { incidents, outbox } = evidence;
  return [
    {
      name: 'each incident was told at least once',
      looked: `${incidents.length} incidents, ${outbox.length} messages`,
      findings: [
        ...(incidents.length === 0 ? ['there was no incident'] : []),
        ...incidents.filter((incident) => !isTold(incident, outbox)).map((one) => `${describe(one)}: no message`),
        ...findUnsent(evidence),
      ],
    },
    {
      name: 'at most one repeat for each kill of the sender',
      looked: `${evidence.alerts.length} messages arrived, ${repeatsIn(evidence).length} again`,
      findings: findRepeats(evidence, faults),
    },
    {
      name: 'each incident was closed',
      looked: `${incidents.length} incidents`,
      findings: incidents.filter(({ state }) => state === 'open').map((one) => `${describe(one)} is open`),
    },
    {
      name: "nobody was told of a failure that was not Allegro's",
      looked: summarise(incidents),
      findings: incidents
        .filter((incident) => !TRUE_TO_TELL.includes(incident.class))
        .map((one) => `${describe(one)}: ${JSON.stringify(one.details)}`),
    },
  ];
}

function describe({ id, accountId, class: name, title }: IncidentRow): string {
  return `incident ${id} (${name}, ${accountId ?? 'the whole system'}): ${title}`;
}

function summarise(incidents: readonly IncidentRow[]): string {
  const counts = new Map<string, number>();
  for (const { class: name } of incidents) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
}

/** An account's has a message of its own; an offer's is in the message of its run, written with it. */
function isTold(incident: IncidentRow, outbox: readonly OutboxRow[]): boolean {
  if (incident.offerId === null) return outbox.some(({ dedupeKey }) => dedupeKey === `incident/${incident.id}/opened`);
  return outbox.some(
    ({ dedupeKey, createdAt }) =>
      dedupeKey.endsWith('/offer_failures') && createdAt.getTime() === incident.openedAt.getTime(),
  );
}

interface Expected {
  readonly html: string;
  readonly rows: OutboxRow[];
  readonly arrivals: Date[];
}

/** The messages as they are written, and when they arrived. */
function matchMessages({ outbox, alerts }: Evidence): { expected: Expected[]; foreign: number } {
  const byHtml = new Map<string, Expected>();
  for (const row of outbox) {
    const html = renderTelegramHtml(alertMessageSchema.parse(row.message));
    const known = byHtml.get(html) ?? { html, rows: [], arrivals: [] };
    known.rows.push(row);
    byHtml.set(html, known);
  }
  let foreign = 0;
  for (const { html, at } of alerts) {
    const known = byHtml.get(html);
    if (known === undefined) foreign += 1;
    else known.arrivals.push(at);
  }
  return { expected: [...byHtml.values()], foreign };
}

function findUnsent(evidence: Evidence): string[] {
  const { expected, foreign } = matchMessages(evidence);
  return [
    ...evidence.outbox.filter(({ sentAt }) => sentAt === null).map(({ dedupeKey }) => `${dedupeKey} was not sent`),
    ...expected
      .filter(({ rows, arrivals }) => arrivals.length < rows.length)
      .map(({ rows, arrivals }) => `${rows[0]?.dedupeKey ?? ''}: ${arrivals.length} arrived of ${rows.length}`),
    ...(foreign > 0 ? [`${foreign} messages arrived that nobody wrote`] : []),
  ];
}

/** Every arrival after the first needs a fault of its own between the arrival before it and the noting of that one. */
function findRepeats(evidence: Evidence, faults: readonly DealtFault[]): string[] {
  const excuses = faults.flatMap((fault) => excusesOf(fault));
  return repeatsIn(evidence).flatMap(({ key, from, until }) => {
    const mayExcuse = (fault: DealtFault): boolean =>
      fault.from <= Math.min(until, from + NOTED_WITHIN_MS) && fault.until >= from - CLOCK_SLACK_MS;
    // The one that is over first: the others may be needed by a later repeat.
    const [used] = excuses.filter(mayExcuse).sort((a, b) => a.until - b.until);
    if (used === undefined) return [`${key} arrived again after ${until - from} ms without a fault left to excuse it`];
    excuses.splice(excuses.indexOf(used), 1);
    return [];
  });
}

/** How many repeats a fault can cause: a sender has one message at a time on its way. */
function excusesOf(fault: DealtFault): DealtFault[] {
  if (fault.part === 'worker') return [fault];
  return fault.part === 'postgres' ? Array.from({ length: WORKERS }, () => fault) : [];
}

interface Repeat {
  readonly key: string;
  /** When the message had arrived, and when it did again. */
  readonly from: number;
  readonly until: number;
}

/** In the order in which the repeated sendings were not noted. */
function repeatsIn(evidence: Evidence): Repeat[] {
  return matchMessages(evidence)
    .expected.flatMap(({ rows, arrivals }) => {
      const key = rows[0]?.dedupeKey ?? '';
      const counted = arrivals.map((at) => at.getTime()).slice(rows.length - 1);
      return counted.slice(1).map((until, index) => ({ key, from: counted[index] ?? until, until }));
    })
    .sort((a, b) => a.from - b.from);
}
