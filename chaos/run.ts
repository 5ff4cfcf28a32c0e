import { setTimeout as sleep } from 'node:timers/promises';

import type { Print } from '../src/local/system.js';
import { awaitCommands, awaitMessages, awaitQuietRuns } from './calm.js';
import { dealFaults, type Dealt } from './dealer.js';
import { gatherEvidence, readOffers, readStockRows } from './evidence.js';
import type { FaultKind } from './fault.js';
import { LONG_BLOCK, MARKETPLACE_FAULTS } from './faults-of-the-marketplace.js';
import { SERVER_FAULTS } from './faults-of-servers.js';
import { SURROUNDING_FAULTS } from './faults-of-the-surroundings.js';
import { startLife, type Life } from './life.js';
import { judgeAlerts } from './oracles/alerts.js';
import { judgeAttempts } from './oracles/attempts.js';
import { countHits, judgeRecovery } from './oracles/faults.js';
import { judgeEndState, judgeVariety } from './oracles/offers.js';
import { judgeRuns } from './oracles/runs.js';
import { judgeSecrets } from './oracles/secrets.js';
import type { OracleVerdict } from './oracles/verdict.js';
import { judgeWrites } from './oracles/writes.js';
import { startPerson } from './person.js';
import { drawsOf } from './random.js';
import { watchRecovery } from './recovery.js';
import {
  ALLOWED_ENDINGS,
  JUDGE_GRACE_MS,
  JUDGED_ACCOUNTS,
  RATE_LIMIT,
  UNBOOKED_SALE_PATIENCE_SECONDS,
} from './shop.js';
import { setStage, type Stage } from './stage.js';

/** What a run of chaos has come to. */
export interface ChaosOutcome {
  readonly verdicts: readonly OracleVerdict[];
  /** How often each kind of fault was met. */
  readonly faults: Readonly<Record<string, number>>;
  readonly life: Readonly<Life['counts']>;
  readonly requests: number;
  readonly runs: number;
  readonly changes: number;
  readonly recoveries: Dealt['recoveries'];
}

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  /** Where data and logs go. */
  readonly directory: string;
  readonly print: Print;
}

const BESIDE: readonly FaultKind[] = [...MARKETPLACE_FAULTS, ...SURROUNDING_FAULTS];
const KINDS: readonly FaultKind[] = [...SERVER_FAULTS, ...BESIDE];

/** Sets everything up, lets it live and fail, waits until it is quiet, and judges. */
export async function runChaos(options: ChaosOptions): Promise<ChaosOutcome> {
  const { seed, directory, print } = options;
  const stage = await setStage(seed, directory, print);
  const person = startPerson(stage);
  try {
    const { dealt, life } = await unleash(stage, options);
    const quiet = await calmDown(stage, print);
    await person.stop();
    print(`${person.approvals} times somebody let held changes through`);
    return await judge(stage, { dealt, life, quiet });
  } finally {
    await person.stop();
    await stage.stop();
  }
}

async function unleash(stage: Stage, options: ChaosOptions): Promise<{ dealt: Dealt; life: Life['counts'] }> {
  const { application, accounts, servers, warehouse, edits, workers } = stage;
  const draws = drawsOf(options.seed);
  const { admin } = application;
  const recovery = watchRecovery({
    admin,
    accounts,
    temporalAddress: servers.temporal.steadyAddress,
    namespace: servers.temporalNamespace,
    killed: workers.killed,
  });
  const life = startLife({ admin, warehouse, edits, random: draws('life') });
  try {
    const dealt = await dealFaults({ ...options, scene: stage, draws, kinds: KINDS, recovery });
    return { dealt, life: life.counts };
  } finally {
    await life.stop();
    await recovery.close();
  }
}

interface Quiet {
  readonly before: Awaited<ReturnType<typeof readOffers>>;
  readonly findings: readonly string[];
}

/** Long enough that a number which somebody has lowered by hand is no longer taken for a sale. */
const SETTLING_MS = (UNBOOKED_SALE_PATIENCE_SECONDS + 5) * 1000;

async function calmDown(stage: Stage, print: Print): Promise<Quiet> {
  const { application, database, accounts } = stage;
  print('all faults are over; waiting for two quiet runs of each account');
  await application.admin.removeFaults();
  // Numbers lowered by hand have been seen by then, and are waited for once more.
  await awaitQuietRuns({ database, accounts, print: () => undefined });
  await sleep(SETTLING_MS);
  const openCommands = await awaitCommands(database, print);
  const before = await readOffers(application.admin);
  const missingRuns = await awaitQuietRuns({ database, accounts, print });
  await awaitMessages(database);
  return { before, findings: [...openCommands, ...missingRuns] };
}

async function judge(
  stage: Stage,
  { dealt, life, quiet }: { dealt: Dealt; life: Life['counts']; quiet: Quiet },
): Promise<ChaosOutcome> {
  const { application, database, servers, telegram, workers, accounts, overheard } = stage;
  const { admin, env } = application;
  const { before } = quiet;
  const evidence = await gatherEvidence({ admin, database, before, alerts: telegram.messages, overheard });
  const bounds = {
    rateLimit: RATE_LIMIT,
    allowedEndings: ALLOWED_ENDINGS,
    graceMs: JUDGE_GRACE_MS,
    accounts: accounts.length,
  };
  const secrets = new Map([
    ['client secret', env['ALLEGRO_CLIENT_SECRET'] ?? ''],
    ['bot token', env['TELEGRAM_BOT_TOKEN'] ?? ''],
    ['encryption key', env['TOKEN_ENCRYPTION_KEY'] ?? ''],
    ['database password', new URL(env['DATABASE_URL'] ?? '').password],
    ...overheard.tokens,
  ]);
  const asked = evidence.report.requestsByRoute;
  const kinds = [...KINDS, LONG_BLOCK].filter(({ ifAsked }) => ifAsked === undefined || ifAsked in asked);
  const verdicts: OracleVerdict[] = [
    ...judgeRecovery(dealt, kinds, workers.unexpectedEnds),
    {
      name: 'two quiet runs of each account, no command open',
      looked: `${accounts.length} accounts`,
      findings: quiet.findings,
    },
    ...judgeEndState(evidence, JUDGED_ACCOUNTS),
    {
      name: 'the stock is what was booked',
      looked: `${stage.warehouse.stock.size} SKUs`,
      findings: compareStock(stage.warehouse.stock, await readStockRows(database)),
    },
    judgeVariety(evidence),
    ...judgeWrites(evidence, dealt.faults, bounds),
    ...judgeRuns(evidence),
    judgeAttempts(evidence, dealt.faults),
    ...judgeAlerts(evidence, dealt.faults),
    await judgeSecrets({
      secrets,
      temporalAddress: servers.temporal.steadyAddress,
      namespace: servers.temporalNamespace,
      logDirectories: [stage.directory, stage.logDirectory],
      alerts: telegram.messages.map(({ html }) => html),
    }),
  ];
  return {
    verdicts,
    faults: Object.fromEntries([...countHits(dealt)].filter(([, count]) => count > 0)),
    life,
    requests: evidence.report.requests,
    runs: evidence.runs.length,
    changes: evidence.changes.length,
    recoveries: dealt.recoveries,
  };
}

function compareStock(wanted: ReadonlyMap<string, number>, rows: ReadonlyMap<string, number>): string[] {
  return [...wanted].flatMap(([sku, quantity]) => {
    const row = rows.get(sku);
    return row === quantity ? [] : [`${sku}: ${row ?? 'no row'} in the table, ${quantity} in the warehouse`];
  });
}
