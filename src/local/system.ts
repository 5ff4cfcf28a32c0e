import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A step of the set-up that cannot go on; the message says what is missing and exactly how to get it. */
export class SetUpError extends Error {
  override readonly name = 'SetUpError';
}

/** Prints one line: what is used, and why. */
export type Print = (line: string) => void;

export interface CommandResult {
  /** 127 when the command could not be started at all. */
  exitCode: number;
  /** stdout and stderr as they came, at most the last 64 kB. */
  output: string;
}

export interface CommandOptions {
  cwd?: string;
  /** Added to the environment of the system. */
  env?: Readonly<Record<string, string>>;
  timeoutMs?: number;
  /** Another user to run as; only root can ask for that. */
  runAs?: { uid: number; gid: number };
}

/**
 * What the set-up sees of the machine. Everything that decides which branch is taken comes from here, so that a test
 * can hide Go, apt-get or the network from it.
 */
export interface System {
  env: Readonly<Record<string, string | undefined>>;
  platform: string;
  arch: string;
  isRoot: boolean;
  isDebian: boolean;
  homeDirectory: string;
  /** The absolute path of a program on PATH. */
  findProgram(name: string): string | undefined;
  isExecutable(path: string): boolean;
  /** Runs to the end; never throws, a failure is an exit code. */
  runCommand(program: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  fetch: typeof fetch;
}

const KEPT_OUTPUT = 64 * 1024;

const runningCommands = new Set<number>();

process.on('exit', () => {
  for (const pid of runningCommands) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // It ended by itself.
    }
  }
});

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function runToEnd(
  environment: NodeJS.ProcessEnv,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...environment, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options.runAs,
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-KEPT_OUTPUT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const pid = child.pid;
    if (pid !== undefined) runningCommands.add(pid);
    const timer =
      options.timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    const end = (exitCode: number): void => {
      clearTimeout(timer);
      if (pid !== undefined) runningCommands.delete(pid);
      resolve({ exitCode, output: output.trim() });
    };
    child.on('error', (error) => {
      output += error.message;
      end(127);
    });
    child.on('close', (code) => end(code ?? 1));
  });
}

/** The machine as it is. */
export function realSystem(env: NodeJS.ProcessEnv = process.env): System {
  return {
    env,
    platform: process.platform,
    arch: process.arch,
    isRoot: process.getuid?.() === 0,
    isDebian: existsSync('/etc/debian_version'),
    homeDirectory: homedir(),
    findProgram: (name) =>
      (env['PATH'] ?? '')
        .split(delimiter)
        .filter((directory) => directory !== '')
        .map((directory) => join(directory, name))
        .find(isExecutableFile),
    isExecutable: isExecutableFile,
    runCommand: (program, args, options) => runToEnd(env, program, args, options),
    fetch,
  };
}

/** An environment variable; an empty one counts as not set. */
export function readVariable(system: System, name: string): string | undefined {
  const value = system.env[name]?.trim();
  return value === '' ? undefined : value;
}
