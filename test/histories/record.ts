import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { startApplication, type Application, type ApplicationStack } from '../../src/local/application.js';
import { startLocalStack } from '../../src/local/stack.js';
import { HOUSEKEEPING, SYNC_ALL_ACCOUNTS_ID, syncAccountId, TASK_QUEUE } from '../../src/workflows/api.js';
import { createTemplateDatabase, withDatabase } from '../server-preparation.js';
import { startOwnTemporal } from '../workflow/own-temporal.js';
import { until } from '../workflow/workflow-bed.js';

/**
 * Records the histories that `test/histories/replay.test.ts` replays, by running the application against the simulator:
 *
 *   node --import tsx test/histories/record.ts
 *
 * Until 1.0 they may be recorded anew, with the reason in the commit; after that a change of workflow code that makes
 * an old history differ needs `patched()`.
 */

const DIRECTORY = fileURLToPath(new URL('./', import.meta.url));
const OFFERS = 60;
/** So early that a run of a few pages continues as new. */
const SUGGESTED_AFTER = 40;

interface Recorder {
  readonly application: Application;
  readonly client: Client;
  /** Writes the history of the newest execution of a workflow, or of the one named. */
  readonly save: (name: string, workflowId: string, executionId?: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

function print(line: string): void {
  console.log(line);
}

/** The servers' own names for this machine and our paths say nothing and differ from one recording to the next. */
function withoutMachine(key: string, value: unknown): unknown {
  if (key === 'stackTrace') return '';
  if (typeof value !== 'string') return value;
  return key === 'identity' ? 'worker' : value.replaceAll(new RegExp(`\\d+@${hostname()}`, 'g'), 'worker');
}

async function startRecorder(stack: ApplicationStack, program: string, env: Record<string, string>): Promise<Recorder> {
  const application = await startApplication({
    stack,
    simulator: { seed: 5, accounts: 2, offers: OFFERS, mix: { drift: 0.5, emptySku: 0.2 } },
    env: { ALLEGRO_SYNC_RETRY_DELAY: '1', COMMAND_PATIENCE: '20', GUARD_MAX_ENDED: '100', ...env },
    print,
  });
  const address = stack.temporalAddress;
  const connection = await Connection.connect({ address });
  const place = ['--address', address, '--namespace', stack.temporalNamespace, '--output', 'json'];
  return {
    application,
    client: new Client({ connection, namespace: stack.temporalNamespace }),
    async save(name, workflowId, executionId) {
      const run = executionId === undefined ? [] : ['--run-id', executionId];
      const { stdout } = await promisify(execFile)(
        program,
        ['workflow', 'show', '--workflow-id', workflowId, ...run, ...place],
        { maxBuffer: 50_000_000 },
      );
      const history: unknown = JSON.parse(stdout);
      await writeFile(`${DIRECTORY}${name}.json`, `${JSON.stringify(history, withoutMachine)}\n`);
      print(`recorded ${name}`);
    },
    async stop() {
      await connection.close();
      await application.stop();
    },
  };
}

async function must({ application }: Recorder, ...args: string[]): Promise<void> {
  const { status, stderr } = await application.runClient([...args, '--json']);
  if (status === 2) throw new Error(`${args.join(' ')}: ${stderr}`);
}

async function importTruth(recorder: Recorder, directory: string): Promise<void> {
  const file = join(directory, 'stock.csv');
  await writeFile(file, await recorder.application.admin.stockCsv());
  await must(recorder, 'stock', 'import', file, '--complete');
}

/** Offers that get the same number go out in one command; one more goes out alone. @returns the id of the latter */
async function addOffersOfOneValue({ application }: Recorder, sellerId: string): Promise<string> {
  const offers = Array.from({ length: 30 }, (_, index) => ({
    sellerId,
    externalId: `SAME-${index}`,
    status: 'ACTIVE' as const,
    available: 10,
  }));
  await application.admin.addOffers(offers);
  const { id } = await application.admin.addOffer({
    ...{ sellerId, externalId: 'STUBBORN', status: 'ACTIVE', available: 10 },
  });
  const stock = offers.map(({ externalId }): [string, number] => [externalId, 7]);
  await application.admin.setTruth({ skus: { ...Object.fromEntries(stock), STUBBORN: 3 } });
  return id;
}

async function recordRuns(recorder: Recorder, directory: string): Promise<void> {
  const { application, client, save } = recorder;
  const { admin, sellers } = application;
  const sellerId = sellers[0]?.sellerId ?? '';
  const stubborn = await addOffersOfOneValue(recorder, sellerId);
  await importTruth(recorder, directory);
  await application.connectAccounts('live');

  await must(recorder, 'sync', '--account', 'shop-1', '--preview');
  await save('sync-account-preview', syncAccountId('shop-1'));

  // One quota answer, one offer that fails once, and one that fails until its attempts are used up.
  await admin.plantFault({ match: { route: 'GET /sale/offers', times: 1 }, fault: { kind: 'tooMany', retryAfter: 3 } });
  const conflict = { kind: 'status' as const, status: 409 };
  const patch = 'PATCH /sale/product-offers/{offerId}';
  await admin.plantFault({ match: { route: patch, offerId: stubborn }, fault: conflict });
  await admin.plantFault({ match: { route: patch, sellerId, nth: 2 }, fault: conflict });
  await must(recorder, 'sync', '--account', 'shop-1');
  await save('sync-account-writes', syncAccountId('shop-1'));

  await admin.removeFaults();
  await must(recorder, 'schedule', 'apply');
  await must(recorder, 'schedule', 'trigger');
  const workflowId = await scheduledRun(client);
  await client.workflow.getHandle(workflowId).result();
  await save('sync-all-accounts', workflowId);
  await save('sync-account-scheduled', syncAccountId('shop-2'));

  // No sending of a command has an answer: its offers go out alone.
  const same = Object.keys(await admin.truth()).filter((sku) => sku.startsWith('SAME-'));
  await admin.setTruth({ skus: Object.fromEntries(same.map((sku) => [sku, 6])) });
  await importTruth(recorder, directory);
  const command = 'PUT /sale/offer-quantity-change-commands/{commandId}';
  await admin.plantFault({ match: { route: command, sellerId }, fault: { kind: 'cutBefore' } });
  await must(recorder, 'sync', '--account', 'shop-1');
  await save('sync-account-lost-command', syncAccountId('shop-1'));
  await admin.removeFaults();

  await client.workflow.execute(HOUSEKEEPING, { taskQueue: TASK_QUEUE, workflowId: HOUSEKEEPING });
  await save('housekeeping', HOUSEKEEPING);

  await recordLostWorker(recorder);
  await recordCancelled(recorder);
}

async function scheduledRun(client: Client): Promise<string> {
  let found = '';
  await until('the Schedule has started a run', async () => {
    const query = `WorkflowType = 'syncAllAccounts' AND WorkflowId STARTS_WITH '${SYNC_ALL_ACCOUNTS_ID}'`;
    for await (const { workflowId } of client.workflow.list({ query })) found = workflowId;
    return found !== '';
  });
  return found;
}

async function untilListed({ application }: Recorder, after: number): Promise<void> {
  const request = { route: 'GET /sale/offers', phase: 'received' as const, after };
  if ((await application.admin.waitForRequest(request)) === null) throw new Error('the scan did not begin');
}

/** The scan is at work when its worker dies; another worker goes on. */
async function recordLostWorker(recorder: Recorder): Promise<void> {
  const { application, client, save } = recorder;
  const { admin, workers } = application;
  const { lastPhase: after } = await admin.journal({ limit: 1 });
  const hanging = await admin.plantFault({ match: { route: 'GET /sale/offers' }, fault: { kind: 'hang', ms: 60_000 } });
  const ran = application.runClient(['sync', '--account', 'shop-1', '--json']);
  await untilListed(recorder, after);
  workers[0]?.kill('SIGKILL');
  await admin.removeFault(hanging);
  await application.startWorker();
  await ran;
  await client.workflow.getHandle(syncAccountId('shop-1')).result();
  await save('sync-account-lost-worker', syncAccountId('shop-1'));
}

async function recordCancelled(recorder: Recorder): Promise<void> {
  const { application, client, save } = recorder;
  const { admin } = application;
  const { lastPhase: after } = await admin.journal({ limit: 1 });
  await admin.plantFault({ match: { route: 'GET /sale/offers' }, fault: { kind: 'hang', ms: 60_000 } });
  const ran = application.runClient(['sync', '--account', 'shop-2', '--json']);
  await untilListed(recorder, after);
  await client.workflow.getHandle(syncAccountId('shop-2')).cancel();
  await ran;
  await admin.removeFaults();
  await save('sync-account-cancelled', syncAccountId('shop-2'));
}

/** A run of many small reads on a server that suggests to continue as new early: three of its executions. */
async function recordContinued(recorder: Recorder, directory: string): Promise<void> {
  const { application, client, save } = recorder;
  await importTruth(recorder, directory);
  await application.connectAccounts('live');
  const skus = Object.keys(await application.admin.truth()).slice(0, 8);
  await must(recorder, 'sync', '--account', 'shop-1', ...skus.flatMap((sku) => ['--sku', sku]));
  const workflowId = syncAccountId('shop-1');
  const { runId } = await client.workflow.getHandle(workflowId).describe();
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const last = events?.[0]?.workflowExecutionStartedEventAttributes;
  if (last?.firstExecutionRunId == null || last.continuedExecutionRunId == null) throw new Error('a run without chain');
  if (last.firstExecutionRunId === last.continuedExecutionRunId) throw new Error('the run was not continued twice');
  await save('sync-account-continued-first', workflowId, last.firstExecutionRunId);
  await save('sync-account-continued-next', workflowId, last.continuedExecutionRunId);
  await save('sync-account-continued-last', workflowId, runId);
}

const directory = await mkdtemp(join(tmpdir(), 'allegro-stock-sync-record-'));
const stack = await startLocalStack({ print });
try {
  const recorder = await startRecorder(stack, stack.temporalCliPath, {});
  try {
    await recordRuns(recorder, directory);
  } finally {
    await recorder.stop();
  }
  const early = await startOwnTemporal(stack.temporalCliPath, {
    'limit.historyCount.suggestContinueAsNew': String(SUGGESTED_AFTER),
  });
  const database = await createTemplateDatabase(stack.databaseUrl);
  const continued = await startRecorder(
    {
      temporalAddress: early.address,
      temporalNamespace: early.namespace,
      databaseUrl: withDatabase(stack.databaseUrl, database.name),
      redisUrl: withDatabase(stack.redisUrl, '1'),
    },
    stack.temporalCliPath,
    { ALLEGRO_SYNC_BATCH_SIZE: '1' },
  );
  try {
    await recordContinued(continued, directory);
  } finally {
    await continued.stop();
    await early.close();
    await database.drop();
  }
} finally {
  await stack.stop();
  await rm(directory, { recursive: true, force: true });
}
