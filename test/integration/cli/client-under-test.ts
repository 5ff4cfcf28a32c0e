import { spawn, type ChildProcess } from 'node:child_process';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../../src/cli/program.js';
import { createServices } from '../../../src/client-services.js';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON value on stdout. */
  json(): unknown;
}

export type Environment = Readonly<Record<string, string>>;

export interface RunOptions {
  readonly stdin?: string;
  /** Called with what stderr holds so far, whenever it grows. */
  readonly onStderr?: (stderr: string) => void;
  /** Receives the listener that a Ctrl-C would call. */
  readonly onInterrupt?: (listener: () => void) => void;
}

function toRan(status: number, stdout: string, stderr: string): Ran {
  return { status, stdout, stderr, json: (): unknown => JSON.parse(stdout) };
}

/** Runs one command line in this process: the same code as `src/client.ts`, with streams that are kept. */
export async function runClient(env: Environment, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const status = await runProgram(args, {
    stdin: Readable.from([Buffer.from(options.stdin ?? '')]),
    stdout: { write: (text) => (stdout += text) },
    stderr: {
      write: (text) => {
        stderr += text;
        options.onStderr?.(stderr);
      },
    },
    env,
    onInterrupt: options.onInterrupt ?? (() => undefined),
    createServices,
  });
  return toRan(status, stdout, stderr);
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Runs it as users do, as a process of its own; killed by a signal, its status is -1. */
export async function spawnClient(
  env: Environment,
  args: readonly string[],
  { stdin = '', onStart }: { stdin?: string; onStart?: (child: ChildProcess) => void } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/client.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(stdin);
  onStart?.(child);
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  return toRan(status, stdout, stderr);
}
