import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { simulatorAdmin, type SimulatorAdmin } from '../../simulator/admin-client.js';
import type { SeedRequest, SeedResult } from '../../simulator/seed.js';
import type { SettingsChange } from '../../simulator/settings.js';
import { runProgram } from '../cli/program.js';
import { createServices } from '../client-services.js';
import { VARIABLE_NAMES } from '../config-variables.js';
import { migrateToLatest } from '../storage/migrate.js';
import { findFreePort, startOnFreePorts } from './ports.js';
import { startProcessRecord, stopLeftovers, sweepTemporaryDirectories } from './process-record.js';
import { startServerProcess } from './server-process.js';
import type { LocalStack } from './stack.js';
import { realSystem, type Print, type System } from './system.js';
import { startTelegramStandIn, type SentMessage } from './telegram-stand-in.js';

/** What the application needs of the servers; tests give a database and a namespace of their own. */
export type ApplicationStack = Pick<LocalStack, 'temporalAddress' | 'temporalNamespace' | 'databaseUrl' | 'redisUrl'>;

export interface ApplicationOptions {
  stack: ApplicationStack;
  /** What the simulator holds at first, and its settings. */
  simulator?: SeedRequest & { settings?: SettingsChange };
  /** Environment variables of worker and client that differ from what is made up here. */
  env?: Readonly<Record<string, string>>;
  /** Worker processes started at once; 1 by default. */
  workers?: number;
  /** Where the logs go, and stay. Absent: a temporary directory, deleted on stop. */
  directory?: string;
  print: Print;
}

/** A worker as a process of its own. */
export interface WorkerProcess {
  readonly pid: number;
  /** Of its metrics and health. */
  readonly httpUrl: string;
  readonly logFile: string;
  hasEnded(): boolean;
  /** Sends it a signal, as a crash (`SIGKILL`) or a pause (`SIGSTOP`) would come. */
  kill(signal: NodeJS.Signals): void;
  /** Asks it to stop and waits. */
  stop(): Promise<void>;
}

export interface ClientRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON value on stdout. */
  json(): unknown;
}

interface ClientStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ClientOptions {
  stdin?: string;
  /** Where the output goes as it comes, besides being kept. */
  stdout?: ClientStream;
  stderr?: ClientStream;
  env?: Readonly<Record<string, string>>;
}

export interface ConnectedAccount {
  readonly accountId: string;
  readonly name: string;
  readonly sellerId: string;
}

/** Simulator, workers and an alert receiver at work against a stack. */
export interface Application {
  /** What workers and clients are configured with. */
  readonly env: Readonly<Record<string, string>>;
  readonly simulatorUrl: string;
  readonly simulatorPid: number;
  readonly admin: SimulatorAdmin;
  readonly sellers: SeedResult['accounts'];
  /** Of the first worker; with `workers: 0` there is none. */
  readonly httpUrl: string;
  readonly workers: readonly WorkerProcess[];
  readonly logFiles: { readonly simulator: string; readonly workers: readonly string[] };
  /** The alerts that arrived at the stand-in for Telegram. */
  readonly alerts: readonly SentMessage[];
  /** One more worker, ready for work. */
  readonly startWorker: () => Promise<WorkerProcess>;
  /** Runs one command line of the client in this process. */
  readonly runClient: (args: readonly string[], options?: ClientOptions) => Promise<ClientRun>;
  /** Adds an account `shop-N` for each seller of the simulator, logged in. @throws Error when the client refuses */
  readonly connectAccounts: (mode: 'preview' | 'live') => Promise<ConnectedAccount[]>;
  /** Stops what was started here. May be called twice. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** As in the Dockerfile: garbage is collected before it fills the machine. */
const WORKER_HEAP = '--max-old-space-size=256';
const TEMPORARY_PREFIX = 'allegro-stock-sync-application-';

const CLIENT_ID = 'local-client';
const CLIENT_SECRET = 'local-client-secret';

/** Starts what stands beside the servers: simulator, alert receiver, workers. @throws Error with the end of a log */
export async function startApplication(options: ApplicationOptions): Promise<Application> {
  const { directory, isKept } = await prepareDirectory(options);
  const record = startProcessRecord(directory);
  const started: { stop(): Promise<void> }[] = [];
  const stopAll = async (): Promise<void> => {
    // Workers first: they may still want to say something to the simulator.
    for (const part of started.splice(0).reverse()) await part.stop();
    await record.remove();
    if (!isKept) await rm(directory, { recursive: true, force: true });
  };
  try {
    return await startParts(options, { directory, record, started, stopAll });
  } catch (error) {
    await stopAll();
    throw error;
  }
}

interface Place {
  directory: string;
  record: ReturnType<typeof startProcessRecord>;
  started: { stop(): Promise<void> }[];
  stopAll(): Promise<void>;
}

async function prepareDirectory(options: ApplicationOptions): Promise<{ directory: string; isKept: boolean }> {
  if (options.directory === undefined) {
    await sweepTemporaryDirectories(tmpdir(), TEMPORARY_PREFIX, options.print);
    return { directory: await mkdtemp(join(tmpdir(), TEMPORARY_PREFIX)), isKept: false };
  }
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true });
  await stopLeftovers(directory, options.print);
  return { directory, isKept: true };
}

async function startParts(options: ApplicationOptions, place: Place): Promise<Application> {
  const system = systemWithoutOurVariables();
  const telegram = await startTelegramStandIn();
  place.started.push(telegram);
  const simulatorPort = await findFreePort();
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;
  const env = environmentOf(options, simulatorUrl, telegram.env);
  const workers: WorkerProcess[] = [];
  let workersStarted = 0;
  const startWorker = async (): Promise<WorkerProcess> => {
    workersStarted += 1;
    const worker = await startWorkerProcess(`worker-${workersStarted}`, env, { system, place, print: options.print });
    workers.push(worker);
    return worker;
  };
  const startWorkers = async (): Promise<void> => {
    await migrateToLatest(options.stack.databaseUrl);
    await Promise.all(Array.from({ length: options.workers ?? 1 }, startWorker));
  };
  const [simulator] = await allOrFirstFailure(
    startSimulatorProcess(options, { system, place, port: simulatorPort }),
    startWorkers(),
  );
  const { admin } = simulator;
  const sellers = await seedSimulator(admin, options.simulator);
  const run = (args: readonly string[], given: ClientOptions = {}): Promise<ClientRun> => runClient(env, args, given);

  let stopping: Promise<void> | undefined;
  return {
    env,
    simulatorUrl,
    simulatorPid: simulator.pid,
    admin,
    sellers,
    httpUrl: workers[0]?.httpUrl ?? '',
    workers,
    get logFiles() {
      return { simulator: simulator.logFile, workers: workers.map(({ logFile }) => logFile) };
    },
    alerts: telegram.messages,
    startWorker,
    runClient: run,
    connectAccounts: (mode) => connectAccounts(admin, sellers, run, mode),
    stop: () => (stopping ??= place.stopAll()),
  };
}

/** Settings in the surrounding environment, such as those of a real shop, must not reach what is started here. */
export function systemWithoutOurVariables(): System {
  const kept = Object.entries(process.env).filter(([name]) => !VARIABLE_NAMES.includes(name));
  return realSystem(Object.fromEntries(kept));
}

/** Both, or neither: what is still starting has ended before the failure is told, so that nothing is left running. */
async function allOrFirstFailure<One, Other>(one: Promise<One>, other: Promise<Other>): Promise<[One, Other]> {
  await Promise.allSettled([one, other]);
  return Promise.all([one, other]);
}

async function startSimulatorProcess(
  { simulator = {}, print }: ApplicationOptions,
  { system, place, port }: { system: System; place: Place; port: number },
): Promise<{ pid: number; logFile: string; admin: SimulatorAdmin }> {
  const url = `http://127.0.0.1:${port}`;
  const settings: SettingsChange = { clients: { [CLIENT_ID]: CLIENT_SECRET }, ...simulator.settings };
  const logFile = join(place.directory, 'simulator.log');
  const server = await startServerProcess({
    system,
    print,
    record: place.record,
    name: 'Simulator',
    program: process.execPath,
    args: [
      ...['--import', 'tsx', join(ROOT, 'simulator/main.ts'), '--port', String(port), '--offers', '0'],
      ...['--settings', JSON.stringify(settings)],
    ],
    logFile,
    stopSignal: 'SIGTERM',
  });
  place.started.push(server);
  await server.waitUntilReady(() => isAnswering(`${url}/_admin/overview`));
  return { pid: server.pid, logFile, admin: simulatorAdmin(url) };
}

async function seedSimulator(
  admin: SimulatorAdmin,
  { settings: _settings, ...seed }: SeedRequest & { settings?: SettingsChange } = {},
): Promise<SeedResult['accounts']> {
  return (await admin.seed(seed)).accounts;
}

function environmentOf(
  { stack, env }: ApplicationOptions,
  simulatorUrl: string,
  alerts: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: stack.temporalAddress,
    TEMPORAL_NAMESPACE: stack.temporalNamespace,
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: stack.redisUrl,
    ALLEGRO_API_URL: simulatorUrl,
    ALLEGRO_AUTH_URL: simulatorUrl,
    ALLEGRO_CLIENT_ID: CLIENT_ID,
    ALLEGRO_CLIENT_SECRET: CLIENT_SECRET,
    ALLEGRO_USER_AGENT: 'AllegroStockSync/0.1.0 (+https://example.org/allegro-stock-sync)',
    TOKEN_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    ...alerts,
    ...env,
  };
}

async function startWorkerProcess(
  name: string,
  env: Readonly<Record<string, string>>,
  { system, place, print }: { system: System; place: Place; print: Print },
): Promise<WorkerProcess> {
  const { directory, record, started } = place;
  const logFile = join(directory, `${name}.log`);
  return startOnFreePorts([undefined], async ([port = 0]) => {
    const httpUrl = `http://127.0.0.1:${port}`;
    const server = await startServerProcess({
      system,
      record,
      print,
      name: name.replace('worker-', 'Worker '),
      program: process.execPath,
      args: [WORKER_HEAP, '--import', 'tsx', join(ROOT, 'src/worker.ts')],
      logFile,
      stopSignal: 'SIGTERM',
      env: { ...env, HTTP_HOST: '127.0.0.1', HTTP_PORT: String(port) },
    });
    started.push(server);
    await server.waitUntilReady(() => isAnswering(`${httpUrl}/healthz`));
    return {
      pid: server.pid,
      httpUrl,
      logFile,
      hasEnded: () => server.hasEnded(),
      kill: (signal) => server.kill(signal),
      stop: () => server.stop(),
    };
  });
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

async function runClient(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  options: ClientOptions,
): Promise<ClientRun> {
  const kept = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr'): ClientStream => ({
    write: (text) => {
      kept[name] += text;
      options[name]?.write(text);
    },
    ...(options[name]?.isTTY === undefined ? {} : { isTTY: options[name].isTTY }),
    ...(options[name]?.columns === undefined ? {} : { columns: options[name].columns }),
  });
  const status = await runProgram(args, {
    stdin: Readable.from([Buffer.from(options.stdin ?? '')]),
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env: { ...env, ...options.env },
    onInterrupt: () => undefined,
    createServices,
  });
  return { status, ...kept, json: (): unknown => JSON.parse(kept.stdout) };
}

async function connectAccounts(
  admin: SimulatorAdmin,
  sellers: SeedResult['accounts'],
  run: (args: readonly string[], options?: ClientOptions) => Promise<ClientRun>,
  mode: 'preview' | 'live',
): Promise<ConnectedAccount[]> {
  const connected: ConnectedAccount[] = [];
  for (const [index, { sellerId, login }] of sellers.entries()) {
    const account = { accountId: `shop-${index + 1}`, name: login, sellerId };
    const { refreshToken } = await admin.issueTokens({ sellerId, clientId: CLIENT_ID });
    const args = ['accounts', 'add', account.accountId, '--name', login, '--mode', mode, '--refresh-token-stdin'];
    const { status, stderr } = await run(args, { stdin: refreshToken });
    if (status !== 0) throw new Error(`accounts add ${account.accountId}: ${stderr.trim()}`);
    connected.push(account);
  }
  return connected;
}
