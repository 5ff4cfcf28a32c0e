import type { Db } from '../storage/database.js';
import {
  openIncident,
  openIncidents,
  readOffersAtRisk,
  resolveIncidents,
  type Incident,
  type IncidentFilter,
  type OpenedIncident,
} from '../storage/incidents.js';
import { enqueue } from '../storage/outbox.js';
import type { AlertMessage, HeldMessage, OfferFailure } from './notifier.js';

/**
 * Problems become incidents and messages in one transaction of the caller: told once when they begin, once when they
 * are over. Sending is another matter (`deliver.ts`).
 */
export interface AccountName {
  readonly accountId: string;
  readonly accountName: string;
}

export interface Problem {
  /** null: the whole system. */
  readonly account: AccountName | null;
  /** Of the whole system: the account whose run met it. */
  readonly metBy?: AccountName;
  readonly class: string;
  readonly title: string;
  /** What is known about it; one paragraph. */
  readonly details: string;
  /** What to do, as a sentence or a command. */
  readonly action?: string;
  readonly runId?: string;
  /** Since when; now, unless given. */
  readonly since?: Date;
}

/** @returns the incident; its message is in the outbox if the incident is new */
export async function tellProblem(trx: Db, problem: Problem): Promise<OpenedIncident> {
  const { account, metBy, runId, action } = problem;
  const incident = await openIncident(trx, {
    ...(account === null ? {} : { accountId: account.accountId }),
    ...(runId === undefined ? {} : { runId }),
    class: problem.class,
    title: problem.title,
    details: {
      details: describeProblem(problem),
      ...(action === undefined ? {} : { action }),
      ...(metBy === undefined ? {} : { accountId: metBy.accountId }),
    },
  });
  if (incident.isNew) {
    await enqueue(trx, { dedupeKey: `incident/${incident.id}/opened`, message: problemMessage(problem) });
  }
  return incident;
}

function describeProblem({ details, metBy }: Problem): string {
  return metBy === undefined ? details : `met by the account ${metBy.accountName} (${metBy.accountId}): ${details}`;
}

function problemMessage(problem: Problem): AlertMessage {
  const { account, runId, action } = problem;
  const told = {
    class: problem.class,
    title: problem.title,
    details: describeProblem(problem),
    since: (problem.since ?? new Date()).toISOString(),
    ...(action === undefined ? {} : { action }),
  };
  if (account === null) return { kind: 'system_problem', ...told };
  return { kind: 'account_problem', ...account, ...told, ...(runId === undefined ? {} : { runId }) };
}

export interface FailedOffers {
  readonly account: AccountName;
  readonly runId: string;
  readonly failures: readonly OfferFailure[];
}

/** The most failures that one message carries; the others are only counted. */
const MOST_CARRIED = 10;

/**
 * One incident per failed offer and class, one message for those that are new or have come to be at risk of an oversell;
 * these come first.
 * @returns how many are told
 */
export async function tellOfferFailures(trx: Db, { account, runId, failures }: FailedOffers): Promise<number> {
  const wereAtRisk = await readOffersAtRisk(trx, account.accountId);
  const opened = await openIncidents(
    trx,
    failures.map((failure) => ({
      accountId: account.accountId,
      offerId: failure.offerId,
      class: failure.errorClass,
      title: `Offer ${failure.offerId} (${failure.sku}) could not be corrected`,
      details: failure,
      runId,
    })),
  );
  const newOnes = new Set(opened.filter((incident) => incident.isNew).map(({ offerId }) => offerId));
  const told = failures
    .filter(({ offerId, piecesAtRisk = 0 }) => newOnes.has(offerId) || (piecesAtRisk > 0 && !wereAtRisk.has(offerId)))
    .sort((a, b) => (b.piecesAtRisk ?? 0) - (a.piecesAtRisk ?? 0));
  const [first] = told;
  if (first === undefined) return 0;
  const message: AlertMessage = {
    kind: 'offer_failures',
    ...account,
    runId,
    failures: told.slice(0, MOST_CARRIED),
    countsByClass: countByClass(told),
  };
  // The key names what is told, not the run alone: one that goes on after a reset may have more to tell.
  const beginning = newOnes.has(first.offerId) ? 'new' : 'at_risk';
  const incidentId = opened.find(({ offerId }) => offerId === first.offerId)?.id;
  await enqueue(trx, { dedupeKey: `run/${runId}/${beginning}/${incidentId}/offer_failures`, message });
  return told.length;
}

function countByClass(failures: readonly OfferFailure[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { errorClass } of failures) counts[errorClass] = (counts[errorClass] ?? 0) + 1;
  return counts;
}

/** Once per run; `tellOver` with class `Held` when nothing is held any more. */
export async function tellHeld(
  trx: Db,
  { reasons, ...held }: Omit<HeldMessage, 'kind' | 'at'> & { at: Date; reasons: readonly string[] },
): Promise<OpenedIncident> {
  const { accountId, runId, heldCount, details, at } = held;
  const title = `${heldCount} ${heldCount === 1 ? 'change is' : 'changes are'} held back`;
  const incident = await openIncident(trx, {
    accountId,
    runId,
    class: 'Held',
    title,
    details: {
      details,
      heldCount,
      reasons,
      action: `allegro-stock-sync accounts approve ${accountId} --run ${runId}`,
    },
  });
  if (incident.isNew) {
    const message: AlertMessage = { ...held, kind: 'held', at: at.toISOString() };
    await enqueue(trx, { dedupeKey: `incident/${incident.id}/opened`, message });
  }
  return incident;
}

/**
 * Resolves what is over, with one message for all of it.
 * @returns the incidents that were open
 */
export async function tellOver(
  trx: Db,
  over: { account: AccountName | null; filter: Omit<IncidentFilter, 'accountId'>; now?: Date },
): Promise<Incident[]> {
  const { account, filter, now = new Date() } = over;
  const resolved = await resolveIncidents(trx, { ...filter, accountId: account?.accountId ?? null }, now);
  const [first] = resolved;
  if (first === undefined) return resolved;
  const message: AlertMessage = {
    kind: 'resolved',
    ...(account ?? {}),
    titles: summariseTitles(resolved),
    since: new Date(Math.min(...resolved.map(({ openedAt }) => openedAt.getTime()))).toISOString(),
    at: now.toISOString(),
  };
  await enqueue(trx, { dedupeKey: `incident/${first.id}/resolved`, message });
  return resolved;
}

/** A few are named; many offers of one class become a count, so that the message stays small. */
function summariseTitles(incidents: readonly Incident[]): string[] {
  const ofOffers = incidents.filter(({ offerId }) => offerId !== null);
  const titles = incidents.filter(({ offerId }) => offerId === null).map(({ title }) => title);
  if (ofOffers.length <= MOST_CARRIED) return [...titles, ...ofOffers.map(({ title }) => title)];
  return [...titles, `${ofOffers.length} offers that could not be corrected`];
}
