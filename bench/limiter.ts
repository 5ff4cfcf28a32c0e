/**
 * Compares limiters under one load: `npm run bench:limiter [-- --seconds 180] [-- --only ours,bottleneck]`.
 * How evenly ours sends: `npm run bench:limiter -- --pacing [--seconds 300] [--processes 1,4]`.
 * Uses REDIS_URL and TEMPORAL_ADDRESS, or starts both; prints a table and writes it to `bench/results/`.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startProcessRecord } from '../src/local/process-record.js';
import { startRedis } from '../src/local/start-redis.js';
import { startTemporal } from '../src/local/start-temporal.js';
import { realSystem, type Print } from '../src/local/system.js';
import { senderTaskSchema, type LimiterName } from './limiter/messages.js';
import { measureCapacity } from './limiter/capacity.js';
import { measurePacing, pacingTable, type Pacing } from './limiter/pacing.js';
import { runLimiter, type BenchSettings } from './limiter/run.js';
import { summarise, toMarkdown, type Row } from './limiter/table.js';

const LIMIT = 9000;
const ALL = senderTaskSchema.shape.limiter.options;
const RESULTS = new URL('./results/', import.meta.url);
const MACHINE = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.versions.node}`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    only: { type: 'string' },
    pacing: { type: 'boolean', default: false },
    processes: { type: 'string', default: '1,4' },
  },
});
const seconds = Number(values.seconds ?? (values.pacing ? 300 : 180));
const chosen = values.only?.split(',').map((name) => senderTaskSchema.shape.limiter.parse(name)) ?? ALL;

const print: Print = (line) => void process.stderr.write(`${line}\n`);

async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-limiter-'));
  const system = realSystem();
  const place = { directory, isKept: false, prefersUsualPorts: false };
  const tools = { record: startProcessRecord(directory), print };
  const redis = await startRedis(system, place, tools);
  const needsTemporal = !values.pacing && chosen.includes('temporal');
  const temporal = needsTemporal ? await startTemporal(system, place, tools) : null;
  try {
    const { redisUrl } = redis.addresses;
    const temporalAddress = temporal?.addresses.temporalAddress ?? '';
    await (values.pacing ? reportPacing : reportAll)({ redisUrl, temporalAddress, limit: LIMIT, seconds });
  } finally {
    await temporal?.stop();
    await redis.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function reportPacing(settings: BenchSettings): Promise<void> {
  const rows: Pacing[] = [];
  for (const processes of values.processes.split(',').map(Number)) {
    print(`${processes} process(es): ${seconds} s`);
    rows.push(await measurePacing(processes, settings));
    print(pacingTable(rows.slice(-1)));
  }
  await save('pacing.json', { rows });
  process.stdout.write(`${MACHINE}; ${seconds} s each, ${LIMIT} requests per 60 s\n\n${pacingTable(rows)}\n`);
}

async function reportAll(settings: BenchSettings): Promise<void> {
  const rows: Row[] = [];
  const loads = [loadavg()[0]];
  for (const limiter of chosen) {
    print(`${limiter}: ${seconds} s`);
    const row = await measure(limiter, settings).catch((error: unknown) => {
      print(`${limiter}: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    });
    if (row === null) process.exitCode = 1;
    else rows.push(row);
    loads.push(loadavg()[0]);
    print(toMarkdown(rows.slice(-1)));
  }
  const capacity = await measureCapacity(settings.redisUrl);
  await save('limiter.json', { loads, rows, capacity });
  process.stdout.write(`${MACHINE}; ${seconds} s each, ${LIMIT} requests per 60 s\n\n${toMarkdown(rows)}\n\n`);
  for (const { quotas, cpuMicrosPerPermit, permitsPerCoreSecond } of capacity) {
    const cost = `${cpuMicrosPerPermit.toFixed(0)} µs of CPU`;
    process.stdout.write(
      `A permit of ${quotas} quota(s): ${cost}, ${permitsPerCoreSecond.toFixed(0)} a second on one core\n`,
    );
  }
}

async function save(name: string, result: object): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  const head = { at: new Date().toISOString(), machine: MACHINE, seconds, limit: LIMIT };
  await writeFile(new URL(name, RESULTS), `${JSON.stringify({ ...head, ...result }, null, 2)}\n`);
}

async function measure(limiter: LimiterName, settings: BenchSettings): Promise<Row> {
  return summarise(await runLimiter(limiter, settings), settings.limit);
}

await run();
