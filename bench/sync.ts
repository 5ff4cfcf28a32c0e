import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import Table from 'cli-table3';
import { z } from 'zod';
import { startApplication, type Application } from '../src/local/application.js';
import { judgeOffers, type TrueState } from '../src/local/oracle.js';
import { startLocalStack, type LocalStack } from '../src/local/stack.js';
import { migrateToLatest } from '../src/storage/migrate.js';
import { SYNC_ALL_ACCOUNTS_ID, syncAccountId } from '../src/workflows/api.js';
import { readUsage } from './process-usage.js';

/**
 * 5 live accounts × 20,000 offers, 1 % of them differing, then none: what a sync costs, in one run beside a bare loop
 * over the same listing. Prints a table and writes `bench/results/sync.json`. Exit status 1 when an offer is wrong.
 */

const { values } = parseArgs({
  options: { accounts: { type: 'string', default: '5' }, offers: { type: 'string', default: '20000' } },
});
const ACCOUNTS = Number(values.accounts);
const OFFERS = ACCOUNTS * Number(values.offers);
const RESULTS = fileURLToPath(new URL('./results/sync.json', import.meta.url));

const reportSchema = z.object({
  outcome: z.string(),
  accounts: z.array(
    z.object({
      accountId: z.string(),
      runId: z.string(),
      seen: z.number(),
      requests: z.number(),
      buckets: z.record(z.string(), z.number()),
    }),
  ),
});
type Report = z.infer<typeof reportSchema>;

interface Measured {
  readonly name: string;
  readonly outcome: string;
  readonly offers: number;
  readonly seconds: number;
  readonly offersPerSecond: number;
  readonly corrected: number;
  readonly requestsPerOffer: number;
  readonly cpuSecondsPer1000Offers: Record<string, number>;
  readonly temporalEventsPer1000Offers: number;
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'allegro-stock-sync-bench-'));
  const stack = await startLocalStack({ print: console.log });
  let application: Application | null = null;
  try {
    await migrateToLatest(stack.databaseUrl);
    const bundle = join(directory, 'workflow-bundle.js');
    const workflowsPath = fileURLToPath(new URL('../src/workflows/index.ts', import.meta.url));
    await writeFile(bundle, (await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') })).code);
    application = await startApplication({
      stack,
      simulator: { seed: 7, accounts: ACCOUNTS, offers: OFFERS, mix: { drift: 0.01 } },
      env: { WORKFLOW_BUNDLE: bundle },
      directory,
      print: console.log,
    });
    process.exitCode = (await measureAll(stack, application, directory)) ? 0 : 1;
  } finally {
    await application?.stop();
    await stack.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function measureAll(stack: LocalStack, application: Application, directory: string): Promise<boolean> {
  const { admin } = application;
  const before = await readOffers(application);
  const stockCsv = await admin.stockCsv();
  const stockFile = join(directory, 'stock.csv');
  await writeFile(stockFile, stockCsv);
  const imported = await application.runClient(['stock', 'import', stockFile]);
  if (imported.status !== 0) throw new Error(`stock import: ${imported.stderr}`);
  const accounts = await application.connectAccounts('live');

  const differing = await measureRun('1 % differing, first run', stack, application);
  const failed = await readFailed(application, differing.report);
  const unchanged = await measureRun('none differing', stack, application);
  const bare = await measureBareLoop(application);
  const verdict = judgeOffers({
    before,
    after: await readOffers(application),
    stockCsv,
    accounts: accounts.map(({ sellerId }) => ({ sellerId, ...LIVE_DEFAULTS })),
    toldAsFailed: failed,
  });
  const usage = await readUsage();
  const report = await admin.report();
  const result = {
    when: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    command: 'npm run bench',
    accounts: ACCOUNTS,
    offers: OFFERS,
    runs: [differing.measured, unchanged.measured],
    bareLoop: { offersPerSecond: bare, unchangedRunAsShareOfIt: unchanged.measured.offersPerSecond / bare },
    peakMemoryMb: mapValues(usage, (part) => Math.round(part.peakMb)),
    oracle: { checked: verdict.checked, wrong: verdict.wrong.length },
    harmfulWrites: report.harmfulWrites.total,
    maxRequestsIn60s: Math.max(0, ...Object.values(report.clients).map((client) => client.maxIn60s)),
  };
  show(result);
  for (const { offerId, why } of verdict.wrong.slice(0, 20)) console.log(`wrong: ${offerId}: ${why}`);
  await mkdir(fileURLToPath(new URL('./results/', import.meta.url)), { recursive: true });
  await writeFile(RESULTS, `${JSON.stringify(result, null, 2)}\n`);
  return verdict.wrong.length === 0 && report.harmfulWrites.total === 0;
}

const LIVE_DEFAULTS = {
  mode: 'live',
  buffer: 0,
  max: null,
  raise: true,
  lower: true,
  reactivate: true,
  atZero: 'end',
} as const;

async function measureRun(
  name: string,
  stack: LocalStack,
  application: Application,
): Promise<{ measured: Measured; report: Report }> {
  const usageBefore = await readUsage();
  const startedAt = performance.now();
  const run = await application.runClient(['sync', '--json']);
  const seconds = (performance.now() - startedAt) / 1000;
  const usageAfter = await readUsage();
  const report = reportSchema.parse(run.json());
  const offers = report.accounts.reduce((sum, account) => sum + account.seen, 0);
  const requests = report.accounts.reduce((sum, account) => sum + account.requests, 0);
  const events = await countEvents(stack, report);
  const measured: Measured = {
    name,
    outcome: report.outcome,
    offers,
    seconds,
    offersPerSecond: offers / seconds,
    corrected: report.accounts.reduce((sum, account) => sum + correctedOf(account.buckets), 0),
    requestsPerOffer: requests / offers,
    cpuSecondsPer1000Offers: mapValues(
      usageAfter,
      (part, key) => ((part.cpuSeconds - (usageBefore[key]?.cpuSeconds ?? 0)) / offers) * 1000,
    ),
    temporalEventsPer1000Offers: (events / offers) * 1000,
  };
  return { measured, report };
}

function correctedOf(buckets: Record<string, number>): number {
  return ['ended', 'lowered', 'reactivated', 'raised'].reduce((sum, bucket) => sum + (buckets[bucket] ?? 0), 0);
}

/** Events of the last run of all accounts and of its children, continued executions not counted. */
async function countEvents(stack: LocalStack, report: Report): Promise<number> {
  const connection = await Connection.connect({ address: stack.temporalAddress });
  try {
    const client = new Client({ connection, namespace: stack.temporalNamespace });
    const ids = [SYNC_ALL_ACCOUNTS_ID, ...report.accounts.map((account) => syncAccountId(account.accountId))];
    const lengths = await Promise.all(
      ids.map(async (id) => (await client.workflow.getHandle(id).describe()).historyLength),
    );
    return lengths.reduce((sum, length) => sum + length, 0);
  } finally {
    await connection.close();
  }
}

/** The least that reading the same offers can cost: one page after the other, parsed and thrown away. */
async function measureBareLoop({ admin, sellers, simulatorUrl, env }: Application): Promise<number> {
  const startedAt = performance.now();
  let offers = 0;
  for (const { sellerId } of sellers) {
    const { accessToken } = await admin.issueTokens({ sellerId });
    for (let offset = 0, total = 1; offset < total; offset += 1000) {
      const answer = await fetch(`${simulatorUrl}/sale/offers?limit=1000&offset=${offset}`, {
        headers: {
          authorization: `Bearer ${accessToken}`,
          accept: 'application/vnd.allegro.public.v1+json',
          'user-agent': env['ALLEGRO_USER_AGENT'] ?? '',
        },
      });
      const page = z.object({ offers: z.array(z.unknown()), totalCount: z.number() }).parse(await answer.json());
      offers += page.offers.length;
      total = page.totalCount;
    }
  }
  return offers / ((performance.now() - startedAt) / 1000);
}

async function readOffers({ admin }: Application): Promise<TrueState[]> {
  const { offers } = await admin.offers({ limit: 2_000_000 });
  return offers;
}

async function readFailed(application: Application, report: Report): Promise<string[]> {
  const failed: string[] = [];
  for (const { runId } of report.accounts) {
    const { stdout } = await application.runClient(['changes', '--run', runId, '--bucket', 'failed', '--json']);
    for (const [id] of stdout.matchAll(/(?<="offerId": ?")[^"]+/g)) failed.push(id);
  }
  return failed;
}

function mapValues<Value, Result>(
  record: Record<string, Value>,
  map: (value: Value, key: string) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}

function show(result: {
  runs: readonly Measured[];
  bareLoop: { offersPerSecond: number; unchangedRunAsShareOfIt: number };
  peakMemoryMb: Record<string, number>;
  oracle: { checked: number; wrong: number };
  harmfulWrites: number;
  maxRequestsIn60s: number;
}): void {
  const table = new Table({
    head: ['', ...result.runs.map((run) => run.name)],
    style: { head: [], border: [], compact: true },
  });
  const row = (name: string, read: (run: Measured) => string): void => {
    table.push([name, ...result.runs.map(read)]);
  };
  row('outcome', (run) => run.outcome);
  row('offers', (run) => String(run.offers));
  row('corrected', (run) => String(run.corrected));
  row('seconds', (run) => run.seconds.toFixed(1));
  row('offers/s', (run) => run.offersPerSecond.toFixed(0));
  row('requests per offer', (run) => run.requestsPerOffer.toFixed(4));
  row('Temporal events per 1,000 offers', (run) => run.temporalEventsPer1000Offers.toFixed(1));
  for (const part of Object.keys(result.peakMemoryMb)) {
    row(`CPU s per 1,000 offers: ${part}`, (run) => (run.cpuSecondsPer1000Offers[part] ?? 0).toFixed(3));
  }
  console.log(table.toString());
  console.log(
    `Peak memory: ${Object.entries(result.peakMemoryMb)
      .map(([part, mb]) => `${part} ${mb} MB`)
      .join(', ')}`,
  );
  const { offersPerSecond, unchangedRunAsShareOfIt } = result.bareLoop;
  console.log(
    `Bare loop over the listing: ${offersPerSecond.toFixed(0)} offers/s; the unchanged run reaches ${(unchangedRunAsShareOfIt * 100).toFixed(0)} % of it`,
  );
  console.log(
    `Oracle: ${result.oracle.checked} offers checked, ${result.oracle.wrong} wrong; harmful writes: ${result.harmfulWrites}; most requests in any 60 s: ${result.maxRequestsIn60s}`,
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
