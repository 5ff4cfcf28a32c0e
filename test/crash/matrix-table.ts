import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';
import { CRASH_POINTS } from './crash-points.js';
import type { CrashResult } from './crash-run.js';

const DOCUMENT = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));
const START = '<!-- crash-matrix: written by npm run crash-matrix -->';
const END = '<!-- crash-matrix: end -->';

/** Puts the table of a whole matrix into docs/reliability.md. */
export async function writeMatrix(results: readonly CrashResult[]): Promise<void> {
  const text = await readFile(DOCUMENT, 'utf8');
  const [before, rest] = text.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${DOCUMENT} has no place for the table`);
  const changed = [before, START, '\n\n', describeMatrix(results), '\n\n', END, after].join('');
  const options = (await prettier.resolveConfig(DOCUMENT)) ?? {};
  await writeFile(DOCUMENT, await prettier.format(changed, { ...options, parser: 'markdown' }));
}

function describeMatrix(results: readonly CrashResult[]): string {
  const head = [
    'activity',
    'killed',
    'lost',
    'twice',
    'harmful',
    'told wrongly',
    'attempts',
    'repeated',
    'resumed after',
  ];
  const rows = results.map((result) => [
    result.point.activity,
    result.point.name,
    result.wrong.length,
    result.writtenTwice,
    result.harmful,
    result.toldWrongly.length,
    result.attemptsUsedUp,
    result.repeated + result.toldTwice,
    `${result.secondsToResume.toFixed(1)} s`,
  ]);
  const line = (cells: readonly unknown[]): string => `| ${cells.join(' | ')} |`;
  const longest = Math.max(...results.map(({ secondsToResume }) => secondsToResume));
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
    `${results.length} of ${CRASH_POINTS.length} points gone through, each of them reached; longest time to resume ${longest.toFixed(1)} s. ${provenance()}`,
  ].join('\n');
}

function provenance(): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const [cpu] = cpus();
  const day = new Date().toISOString().slice(0, 10);
  return `Made by \`npm run crash-matrix\` at commit ${commit} on ${day}: ${cpus().length} cores (${cpu?.model ?? 'unknown'}), Node ${process.versions.node}.`;
}
