// Format, lint, types and unit tests side by side; each says its time, and its output when it failed. Exit status 1 if any.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';

const CACHE = '.local/cache';
const STEPS = [
  ['lint', ['node_modules/eslint/bin/eslint.js', '.', '--cache', '--cache-location', `${CACHE}/eslint`]],
  ['types', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']],
  [
    'unit tests',
    [
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      'test/unit',
      '--maxWorkers=2',
      '--silent',
    ],
  ],
  [
    'format',
    ['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--cache', '--cache-location', `${CACHE}/prettier`],
  ],
];

function run([name, args]) {
  return new Promise((resolve) => {
    const startedAt = Date.now();
    const step = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    step.stdout.on('data', (chunk) => (output += chunk));
    step.stderr.on('data', (chunk) => (output += chunk));
    step.on('close', (status) => {
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
      if (status !== 0) console.log(output);
      resolve(status === 0);
    });
  });
}

mkdirSync(CACHE, { recursive: true });
const results = await Promise.all(STEPS.map(run));
process.exit(results.every(Boolean) ? 0 : 1);
