/**
 * Compares limiters under one load: `npm run bench:limiter [-- --seconds 180] [-- --only ours,bottleneck]`.
 * Uses REDIS_URL and TEMPORAL_ADDRESS, or starts both; prints a table and writes `bench/results/limiter.json`.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startProcessRecord } from '../src/local/process-record.js';
import { startRedis } from '../src/local/start-redis.js';
import { startTemporal } from '../src/local/start-temporal.js';
import { realSystem, type Print } from '../src/local/system.js';
import { senderTaskSchema, type LimiterName } from './limiter/messages.js';
import { measureCapacity } from './limiter/capacity.js';
import { runLimiter } from './limiter/run.js';
import { summarise, toMarkdown, type Row } from './limiter/table.js';

const LIMIT = 9000;
const ALL = senderTaskSchema.shape.limiter.options;
const RESULTS = new URL('./results/', import.meta.url);

const { values } = parseArgs({ options: { seconds: { type: 'string' }, only: { type: 'string' } } });
const seconds = Number(values.seconds ?? 180);
const chosen = values.only?.split(',').map((name) => senderTaskSchema.shape.limiter.parse(name)) ?? ALL;

const print: Print = (line) => void process.stderr.write(`${line}\n`);

async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-limiter-'));
  const system = realSystem();
  const place = { directory, isKept: false, prefersUsualPorts: false };
  const tools = { record: startProcessRecord(directory), print };
  const redis = await startRedis(system, place, tools);
  const temporal = chosen.includes('temporal') ? await startTemporal(system, place, tools) : null;
  try {
    const { redisUrl } = redis.addresses;
    await report({ redisUrl, temporalAddress: temporal?.addresses.temporalAddress ?? '', limit: LIMIT, seconds });
  } finally {
    await temporal?.stop();
    await redis.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function report(settings: Parameters<typeof runLimiter>[1]): Promise<void> {
  const rows: Row[] = [];
  for (const limiter of chosen) {
    print(`${limiter}: ${seconds} s`);
    const row = await measure(limiter, settings).catch((error: unknown) => {
      print(`${limiter}: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    });
    if (row === null) process.exitCode = 1;
    else rows.push(row);
    print(toMarkdown(rows.slice(-1)));
  }
  const capacity = await measureCapacity(settings.redisUrl);
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.versions.node}`;
  await mkdir(RESULTS, { recursive: true });
  const result = { at: new Date().toISOString(), machine, seconds, limit: LIMIT, rows, capacity };
  await writeFile(new URL('limiter.json', RESULTS), `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(`${machine}; ${seconds} s each, ${LIMIT} requests per 60 s\n\n${toMarkdown(rows)}\n\n`);
  for (const { quotas, cpuMicrosPerPermit, permitsPerCoreSecond } of capacity) {
    const cost = `${cpuMicrosPerPermit.toFixed(0)} µs of CPU`;
    process.stdout.write(
      `A permit of ${quotas} quota(s): ${cost}, ${permitsPerCoreSecond.toFixed(0)} a second on one core\n`,
    );
  }
}

async function measure(limiter: LimiterName, settings: Parameters<typeof runLimiter>[1]): Promise<Row> {
  return summarise(await runLimiter(limiter, settings), settings.limit);
}

await run();
