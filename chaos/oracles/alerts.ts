import { renderTelegramHtml } from '../../src/notifications/render.js';
import { alertMessageSchema } from '../../src/notifications/notifier.js';
import type { Evidence, IncidentRow, OutboxRow } from '../evidence.js';
import type { DealtFault, Part } from '../fault.js';
import type { OracleVerdict } from './verdict.js';

/** What can befall a sender between sending a message and noting that it is sent. */
const KEEPS_FROM_NOTING: readonly Part[] = ['worker', 'postgres', 'telegram'];
/** A statement that nobody answers is waited for this long. */
const NOTED_WITHIN_MS = 65_000;
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
      looked: `${evidence.alerts.length} messages arrived`,
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

/** Every arrival after the first needs a fault between the arrival before it and itself, early enough to matter. */
function findRepeats(evidence: Evidence, faults: readonly DealtFault[]): string[] {
  const excuses = faults.filter(({ part }) => KEEPS_FROM_NOTING.includes(part));
  return matchMessages(evidence).expected.flatMap(({ rows, arrivals }) => {
    const repeats = arrivals.slice(rows.length - 1).flatMap((at, index, all) => {
      const next = all[index + 1];
      return next === undefined ? [] : [{ from: at.getTime(), until: next.getTime() }];
    });
    return repeats
      .filter(
        ({ from, until }) =>
          !excuses.some(
            (fault) => fault.from <= Math.min(until, from + NOTED_WITHIN_MS) && fault.until >= from - 1_000,
          ),
      )
      .map(({ from, until }) => `${rows[0]?.dedupeKey ?? ''} arrived again after ${until - from} ms without a fault`);
  });
}
