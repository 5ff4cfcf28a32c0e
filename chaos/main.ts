import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { waitForStopRequest } from '../src/local/stop-request.js';
import { SetUpError } from '../src/local/system.js';
import type { OracleVerdict } from './oracles/verdict.js';
import { runChaos, type ChaosOutcome } from './run.js';

const USAGE = `Lets everything fail at random, as long as you say, and then judges what became of it.

  npm run chaos -- [--seed 1] [--minutes 2] [--json FILE]

Exit status 0 only when every oracle holds. On a failure data and logs are kept, and it is said where.`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const MOST_FINDINGS = 20;
const startedAt = Date.now();

function print(line: string): void {
  const seconds = String(Math.round((Date.now() - startedAt) / 1000)).padStart(5);
  console.log(`${seconds} s  ${line}`);
}

function readNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  console.error(`--${name} must be a number, not "${text}"`);
  process.exit(2);
}

async function main(): Promise<number> {
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seed = readNumber('seed', values.seed);
  const minutes = readNumber('minutes', values.minutes);
  const command = `npm run chaos -- --seed ${seed} --minutes ${minutes}`;
  print(`seed ${seed}, ${minutes} min`);
  const directory = await mkdtemp(join(tmpdir(), 'allegro-stock-sync-chaos-'));
  let holds = false;
  try {
    const outcome = await runChaos({ seed, minutes, directory, print });
    holds = outcome.verdicts.every(({ findings }) => findings.length === 0);
    show(outcome);
    if (values.json !== undefined) await save(values.json, { seed, minutes, command }, outcome);
  } finally {
    if (holds) await rm(directory, { recursive: true, force: true });
    else console.log(`Data and logs are kept in ${directory}`);
    console.log(`${holds ? 'All oracles hold' : 'FAILED'}. Seed ${seed}; again: ${command}`);
  }
  return holds ? 0 : 1;
}

function show({ verdicts, faults, life, requests, runs, changes }: ChaosOutcome): void {
  console.log('\nFaults');
  for (const [name, count] of Object.entries(faults).sort()) console.log(`  ${String(count).padStart(4)} × ${name}`);
  console.log(
    `\n${life.sales} sales, ${life.deliveries} deliveries, ${life.writeOffs} write-offs, ${life.edits} edits by hand; ${runs} runs, ${changes} changes, ${requests} requests\n`,
  );
  for (const verdict of verdicts) console.log(describe(verdict));
}

function describe({ name, looked, findings }: OracleVerdict): string {
  if (findings.length === 0) return `ok      ${name} (${looked})`;
  const shown = findings.slice(0, MOST_FINDINGS).map((finding) => `          ${finding}`);
  const more = findings.length > MOST_FINDINGS ? [`          … and ${findings.length - MOST_FINDINGS} more`] : [];
  return [`FAILED  ${name} (${looked}): ${findings.length}`, ...shown, ...more].join('\n');
}

async function save(
  file: string,
  what: { seed: number; minutes: number; command: string },
  { verdicts, recoveries, ...counts }: ChaosOutcome,
): Promise<void> {
  const times = recoveries.map(({ ms }) => ms).sort((a, b) => a - b);
  const result = {
    ...what,
    holds: verdicts.every(({ findings }) => findings.length === 0),
    when: new Date().toISOString(),
    commit: gitCommit(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    seconds: Math.round((Date.now() - startedAt) / 1000),
    oracles: verdicts.map(({ name, looked, findings }) => ({ name, holds: findings.length === 0, looked, findings })),
    recoverySeconds: {
      times: times.length,
      median: (times[Math.floor(times.length / 2)] ?? 0) / 1000,
      most: (times.at(-1) ?? 0) / 1000,
    },
    ...counts,
  };
  await mkdir(dirname(resolve(file)), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
}

/** With a mark when the files differ from it. */
function gitCommit(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', 'HEAD')}${isChanged ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

void waitForStopRequest().then(() => {
  console.log('interrupted');
  // The servers are told to stop by the exit hooks.
  process.exit(130);
});

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(error instanceof SetUpError ? error.message : error);
    process.exit(1);
  },
);
