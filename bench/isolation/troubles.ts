import type pg from 'pg';

import type { Application, ConnectedAccount } from '../../src/local/application.js';
import { waitUntil } from '../../src/local/wait-until.js';

/** What befalls one account. Each says at the end what it has done: a trouble that did not happen proves nothing. */

export interface Troubled {
  readonly application: Application;
  readonly database: pg.Pool;
  readonly account: ConnectedAccount;
}

export interface TroubleReport {
  /** It was in trouble from the first tick to the last. */
  readonly happened: boolean;
  readonly state: string;
}

export interface Trouble {
  readonly offers: number;
  /** Before the Schedule begins. */
  begin?(troubled: Troubled): Promise<void>;
  /** Shortly before each tick, and when the runs of that tick are at work. */
  beforeTick?(troubled: Troubled): Promise<void>;
  inTick?(troubled: Troubled): Promise<void>;
  report(troubled: Troubled, seconds: number): Promise<TroubleReport>;
}

/**
 * 200,000 scaled by 60, and some more so that the work lasts: at the 20 writes a second of the run they take over three
 * minutes, as 200,000 take near three hours by the 74,700 edits an hour that Allegro grants a seller.
 */
const MANY_OFFERS = 3_600;
const LOGIN_WITHIN_MS = 10_000;
/** Far fewer than there are, far more than a shop has by chance. */
const LEAST_ERRORS_PER_SECOND = 2;
/** So many that every way in which one account tries again is taken. */
const REFUSED_AT_FIRST = 200;
/** Longer than the time-out of a write. */
const NO_ANSWER_MS = 60_000;
const LEAST_UNANSWERED_PER_SECOND = 0.2;

/** Its token dies while a run is writing. Each time somebody logs in again before the next tick. */
const revoked: Trouble = {
  offers: MANY_OFFERS,
  async beforeTick({ application, account, database }) {
    if (!(await isPaused(database, account))) return;
    const { admin, runClient } = application;
    const login = runClient(['accounts', 'authorize', account.accountId]);
    let code: string | undefined;
    await waitUntil(async () => (code = (await admin.waitingUserCodes())[0]) !== undefined, LOGIN_WITHIN_MS);
    if (code !== undefined) await admin.decideDevice(code, { decision: 'approve', sellerId: account.sellerId });
    const { status, stderr } = await login;
    if (status !== 0) throw new Error(`accounts authorize ${account.accountId}: ${stderr}`);
  },
  async inTick({ application, account }) {
    await application.admin.revokeTokens(account.sellerId);
  },
  async report({ database, account }) {
    const { rows } = await database.query<{ runs: number; paused: number }>(
      `select count(*)::integer as runs, count(*) filter (where outcome = 'paused')::integer as paused
        from sync_runs where account_id = $1`,
      [account.accountId],
    );
    const { runs = 0, paused = 0 } = rows[0] ?? {};
    return {
      happened: paused > 0 && paused >= runs - 1 && (await isPaused(database, account)),
      state: `token revoked in ${paused} of ${runs} runs, logged in again before each, paused at the end`,
    };
  },
};

/** Nearly every write is refused as a conflict, which is tried again by the declared retries, offer by offer. */
const errors: Trouble = {
  offers: MANY_OFFERS,
  begin: refuseMostWrites,
  async report({ application, database, account }, seconds) {
    const rules = await application.admin.faults();
    const refused = rules.find(({ match }) => match.sellerId === account.sellerId)?.planted ?? 0;
    return {
      happened: refused >= LEAST_ERRORS_PER_SECOND * seconds,
      state: `${refused} writes refused; ${await describeRuns(database, account)}`,
    };
  },
};

/** Refused at first, so that many offers are being tried again; then no write is answered within its time-out any more. */
const silent: Trouble = {
  offers: MANY_OFFERS,
  begin: refuseMostWrites,
  async inTick({ application, account }) {
    const { admin } = application;
    const refusal = (await admin.faults()).find(
      ({ match, fault }) => match.sellerId === account.sellerId && fault.kind === 'status',
    );
    if (refusal === undefined || refusal.planted < REFUSED_AT_FIRST) return;
    await admin.removeFault(refusal.id);
    await admin.plantFault({
      match: { method: 'PATCH', sellerId: account.sellerId },
      fault: { kind: 'hang', ms: NO_ANSWER_MS },
    });
  },
  async report({ application, database, account }, seconds) {
    const rules = await application.admin.faults();
    const hang = rules.find(({ match, fault }) => match.sellerId === account.sellerId && fault.kind === 'hang');
    const unanswered = hang?.planted ?? 0;
    return {
      happened: unanswered >= LEAST_UNANSWERED_PER_SECOND * seconds,
      state: `${unanswered} writes never answered; ${await describeRuns(database, account)}`,
    };
  },
};

/** So much to write that one run outlasts all ticks. */
const huge: Trouble = {
  offers: MANY_OFFERS,
  async report({ database, account }, seconds) {
    const { rows } = await database.query<{ seconds: number; written: number }>(
      `select extract(epoch from coalesce(finished_at, clock_timestamp()) - started_at)::float as seconds,
        (select count(*)::integer from offer_changes where run_id = sync_runs.id and state = 'confirmed') as written
        from sync_runs where account_id = $1 order by started_at limit 1`,
      [account.accountId],
    );
    const { seconds: lasted = 0, written = 0 } = rows[0] ?? {};
    return {
      // It starts with the first tick: but for the time that this takes, it is at work throughout.
      happened: written > 0 && lasted >= seconds * 0.95,
      state: `${written} of ${MANY_OFFERS} offers written; ${await describeRuns(database, account)}`,
    };
  },
};

export const TROUBLES = { revoked, errors, silent, huge };

async function refuseMostWrites({ application, account }: Troubled): Promise<void> {
  await application.admin.plantFault({
    match: { method: 'PATCH', sellerId: account.sellerId, probability: 0.95 },
    fault: { kind: 'status', status: 409 },
  });
}

async function isPaused(database: pg.Pool, { accountId }: ConnectedAccount): Promise<boolean> {
  const { rowCount } = await database.query('select 1 from accounts where id = $1 and paused_reason is not null', [
    accountId,
  ]);
  return rowCount === 1;
}

async function describeRuns(database: pg.Pool, { accountId }: ConnectedAccount): Promise<string> {
  const { rows } = await database.query<{ seconds: number; outcome: string | null }>(
    `select extract(epoch from coalesce(finished_at, clock_timestamp()) - started_at)::float as seconds, outcome
      from sync_runs where account_id = $1 order by started_at`,
    [accountId],
  );
  const runs = rows.map(({ seconds, outcome }) => `${seconds.toFixed(0)} s (${outcome ?? 'still at work'})`);
  return `runs of ${runs.join(', ')}`;
}
