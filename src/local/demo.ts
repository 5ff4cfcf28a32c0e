import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

import type { Output } from '../cli/output.js';
import { LOCAL_ENV_FILE } from '../env-file.js';
import type { SyncAllAccountsResult } from '../workflows/api.js';
import { startApplication, type Application } from './application.js';
import { DEMO_ACCOUNTS, DEMO_SEED, prepareCatalogue, readOffers, settingsArguments } from './demo-catalogue.js';
import { liveOn } from './demo-life.js';
import { demoOutput, watchScheduledRuns, type ScheduledRuns } from './demo-run.js';
import { describeVerdict, frameText, isFlawless, readAlert } from './demo-verdict.js';
import { judgeOffers, type OracleInput, type Verdict } from './oracle.js';
import { startLocalStack, type LocalStack } from './stack.js';
import { waitForStopRequest } from './stop-request.js';
import { SetUpError } from './system.js';
import { waitUntil } from './wait-until.js';

const { values } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    directory: { type: 'string', default: join(dirname(LOCAL_ENV_FILE), 'demo') },
  },
});

/** A run each minute, unless one is all that is wanted. */
const SCHEDULE_SECONDS = values.once ? 1800 : 60;
/** Allegro ends an offer some time after its stock has become 0. */
const SETTLE_MS = 10_000;

const output = demoOutput();
const { colors } = output;

function step(text: string): void {
  output.print(`\n${colors.bold(text)}`);
}

/** What has been started, in the order of its start. */
const started: { stop(): Promise<void> }[] = [];
let stopping: Promise<void> | undefined;

/** Once, whoever asks for it. */
function stopAll(): Promise<void> {
  stopping ??= (async () => {
    step('Stopping');
    for (const part of started.splice(0).reverse()) await part.stop();
  })();
  return stopping;
}

async function run(): Promise<boolean> {
  step('1. Servers');
  const stack = await startLocalStack({ print: output.print });
  started.push(stack);

  step('2. A stand-in for Allegro, a chat for alerts, a worker');
  const application = await startApplication({
    stack,
    simulator: DEMO_SEED,
    env: { ALLEGRO_SYNC_SCHEDULE: String(SCHEDULE_SECONDS), ALLEGRO_SYNC_RETRY_DELAY: '2' },
    directory: values.directory,
    print: output.print,
  });
  started.push(application);
  output.print(`Simulator ${application.simulatorUrl}, worker ${application.httpUrl}, logs in ${values.directory}`);
  const { offers: before, stockCsv } = await prepareCatalogue(application.admin);

  step('3. Stock, accounts, Schedule');
  const accountIds = await setUp(application, stockCsv);

  step('4. The Schedule runs');
  const runs = await watchScheduledRuns(application.env);
  started.push({ stop: () => runs.close() });
  const result = await runs.first(accountIds, output);

  step('5. What became of it');
  showAlerts(application);
  const isWell = await judge(application, result, { before, stockCsv });
  showAddresses(stack, application);
  if (!values.once) await goOn(application, runs);
  return isWell;
}

async function command(application: Application, args: readonly string[]): Promise<void> {
  output.print(colors.dim(`$ npm run client -- ${args.join(' ')}`));
  const { status } = await application.runClient(args, { stdout: process.stdout, stderr: process.stderr });
  if (status !== 0) throw new Error(`"${args.join(' ')}" ended with exit status ${status}`);
}

async function setUp(application: Application, stockCsv: string): Promise<string[]> {
  await refuseForeignDatabase(application);
  const file = join(values.directory, 'stock.csv');
  await mkdir(values.directory, { recursive: true });
  await writeFile(file, stockCsv);
  await command(application, ['stock', 'import', file]);
  const accounts = await application.connectAccounts('live');
  for (const { accountId, name, sellerId } of accounts) {
    const settings = settingsArguments(sellerId);
    if (settings.length > 0) await application.runClient(['accounts', 'set', accountId, ...settings]);
    output.print(`${accountId}: "${name}" is logged in, live${settings.length > 0 ? `, ${settings.join(' ')}` : ''}`);
  }
  await command(application, ['schedule', 'apply']);
  await command(application, ['schedule', 'trigger']);
  return accounts.map(({ accountId }) => accountId);
}

/** With DATABASE_URL set, the database may be somebody's own. */
async function refuseForeignDatabase({ runClient }: Application): Promise<void> {
  const accounts = z.array(z.unknown()).parse((await runClient(['accounts', 'list', '--json'])).json());
  if (accounts.length === 0) return;
  throw new SetUpError(
    `The database of DATABASE_URL holds ${accounts.length} accounts, which the demo would sync with made-up offers. Unset DATABASE_URL, or name an empty database.`,
  );
}

let alertsShown = 0;

function showAlerts({ alerts }: Application): void {
  for (const alert of alerts.slice(alertsShown)) {
    output.print(`Alert, as sent to Telegram chat ${alert.chatId}:\n${colors.yellow(frameText(readAlert(alert)))}\n`);
  }
  alertsShown = alerts.length;
}

async function judge(
  application: Application,
  result: SyncAllAccountsResult,
  seed: Pick<OracleInput, 'before' | 'stockCsv'>,
): Promise<boolean> {
  const { admin, runClient } = application;
  const failed = await runClient(['changes', '--run', result.runId, '--bucket', 'failed', '--json']);
  const toldAsFailed = z
    .array(z.object({ offerId: z.string() }))
    .parse(failed.json())
    .map(({ offerId }) => offerId);
  let verdict: Verdict | undefined;
  await waitUntil(async () => {
    verdict = judgeOffers({ ...seed, after: await readOffers(admin), accounts: DEMO_ACCOUNTS, toldAsFailed });
    return verdict.wrong.length === 0;
  }, SETTLE_MS);
  if (verdict === undefined) throw new Error('the oracle has not judged');
  const report = await admin.report();
  for (const line of describeVerdict(verdict, report, colors)) output.print(line);
  return isFlawless(verdict, report);
}

function showAddresses(stack: LocalStack, { httpUrl, simulatorUrl }: Application): void {
  output.print('');
  output.table(
    ['to look at', ''],
    [
      ['Temporal Web UI', `${stack.temporalUiUrl}/namespaces/${stack.temporalNamespace}/workflows`],
      ['metrics', `${httpUrl}/metrics/allegro-sync`],
      ['metrics for Prometheus', `${httpUrl}/metrics`],
      ['health of the sync', `${httpUrl}/health/sync`],
      ['what Allegro holds and receives', simulatorUrl],
    ],
  );
}

async function goOn(application: Application, runs: ScheduledRuns): Promise<void> {
  step('6. Life goes on: a run each minute, sales, deliveries. Ctrl-C stops everything.');
  const say = (line: string): void => output.print(`${colors.dim(new Date().toLocaleTimeString('en-GB'))}  ${line}`);
  const isOver = new AbortController();
  started.push({
    stop: () => {
      isOver.abort();
      return Promise.resolve();
    },
  });
  await Promise.all([
    liveOn(application, say, isOver.signal),
    runs.follow(isOver.signal, (result) => {
      for (const line of describeRun(result, output)) say(line);
      showAlerts(application);
    }),
  ]);
}

/** One line for each account: what differs from "nothing to do". */
function describeRun({ accounts }: SyncAllAccountsResult, { colors: paint }: Output): string[] {
  return accounts.map(({ accountId, outcome, seen, buckets, held }) => {
    const done = Object.entries(buckets).filter(
      ([bucket, count]) => count > 0 && !['skipped', 'in_sync', 'held'].includes(bucket),
    );
    const words = [...done, ...Object.entries(held)].map(([what, count]) => `${what} ${count}`);
    const text = `${accountId}: ${outcome}, ${seen} offers${words.length > 0 ? `, ${words.join(', ')}` : ''}`;
    return `${paint.bold('run')}       ${text}`;
  });
}

async function main(): Promise<number> {
  const startedAt = Date.now();
  const isWell = await run();
  await stopAll();
  output.print(`Stopped everything after ${Math.round((Date.now() - startedAt) / 1000)} s.`);
  return isWell ? 0 : 1;
}

void waitForStopRequest().then(async () => {
  // What is still starting is told to stop by the exit hooks.
  await stopAll();
  process.exit(values.once ? 130 : 0);
});

main().then(
  (status) => process.exit(status),
  async (error: unknown) => {
    // Connections break when the servers stop; that is no failure.
    if (stopping !== undefined) return;
    console.error(error instanceof SetUpError ? error.message : error);
    await stopAll();
    process.exit(1);
  },
);
