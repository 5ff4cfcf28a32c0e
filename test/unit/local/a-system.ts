import type { CommandResult, System } from '../../../src/local/system.js';

export interface PretendedMachine {
  env?: Record<string, string>;
  /** Program name → path: what is on PATH. */
  onPath?: Record<string, string>;
  /** Other files that can be executed. */
  executables?: string[];
  /** What commands do; the default is failure. */
  run?: (program: string, args: readonly string[], cwd: string | undefined) => Promise<Partial<CommandResult>>;
  fetch?: typeof fetch;
  isRoot?: boolean;
  isDebian?: boolean;
  platform?: string;
}

export interface PretendedSystem extends System {
  /** Every command that was run, as one line. */
  commands: string[];
  /** Changed by a test's `run` when it "installs" something. */
  programs: Record<string, string>;
}

/** A machine that has only what the test gives it: no programs, no network, not root, not Debian. */
export function aSystem(machine: PretendedMachine = {}): PretendedSystem {
  const commands: string[] = [];
  const programs = { ...machine.onPath };
  return {
    commands,
    programs,
    env: machine.env ?? {},
    platform: machine.platform ?? 'linux',
    arch: 'x64',
    isRoot: machine.isRoot ?? false,
    isDebian: machine.isDebian ?? false,
    homeDirectory: '/home/nobody',
    findProgram: (name) => programs[name],
    isExecutable: (path) => Object.values(programs).includes(path) || (machine.executables ?? []).includes(path),
    async runCommand(program, args, options) {
      commands.push([program, ...args].join(' '));
      return { exitCode: 0, output: '', ...(await machine.run?.(program, args, options?.cwd)) };
    },
    fetch: machine.fetch ?? (() => Promise.reject(new TypeError('fetch failed', { cause: new Error('no network') }))),
  };
}

/** Collects what is printed. */
export function aPrinter(): { print: (line: string) => void; lines: string[] } {
  const lines: string[] = [];
  return { lines, print: (line) => void lines.push(line) };
}
