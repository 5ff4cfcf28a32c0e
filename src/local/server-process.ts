import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { PortTakenError } from './ports.js';
import type { ProcessRecord } from './process-record.js';
import type { Print, System } from './system.js';
import { waitUntil } from './wait-until.js';

/** Long enough for a first start on a machine that is building something else at the same time. */
const START_PATIENCE_MS = 180_000;
const STOP_PATIENCE_MS = 15_000;

export interface ServerProcessOptions {
  system: System;
  record: ProcessRecord;
  print: Print;
  /** As people call it: "PostgreSQL". */
  name: string;
  program: string;
  args: readonly string[];
  logFile: string;
  stopSignal: 'SIGINT' | 'SIGTERM';
  env?: Readonly<Record<string, string>>;
  /** Another user to run as; only root can ask for that. */
  runAs?: { uid: number; gid: number };
}

export interface ServerProcess {
  pid: number;
  /** True once the process has ended, wanted or not. */
  hasEnded(): boolean;
  /** Waits until `isReady` says so. @throws Error with the end of the log when the server ends or stays unready. */
  waitUntilReady(isReady: () => Promise<boolean>): Promise<void>;
  /** Sends it a signal, as a crash (`SIGKILL`) or a pause (`SIGSTOP`) would come; nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
  /** Asks it to stop, and after 15 s makes it. */
  stop(): Promise<void>;
}

/**
 * The command that starts the server so that the kernel stops it when we are killed: `setpriv` of util-linux where it
 * is, the bare command elsewhere (then the next start cleans up, see process-record.ts).
 */
function commandFor(options: ServerProcessOptions): { program: string; args: readonly string[] } {
  const setpriv = options.system.platform === 'linux' ? options.system.findProgram('setpriv') : undefined;
  if (setpriv === undefined) return { program: options.program, args: options.args };
  const death = `--pdeathsig=${options.stopSignal.replace('SIG', '')}`;
  // A change of user clears the death signal, so setpriv, which sets the signal last, has to do both.
  const user =
    options.runAs === undefined
      ? []
      : [`--reuid=${options.runAs.uid}`, `--regid=${options.runAs.gid}`, '--clear-groups'];
  return { program: setpriv, args: [death, ...user, '--', options.program, ...options.args] };
}

function readLog(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** As Temporal, PostgreSQL and Redis say it. */
const PORT_IS_TAKEN = /address already in use/i;

function spawnServer(options: ServerProcessOptions): ChildProcess {
  const command = commandFor(options);
  const isWrapped = command.program !== options.program;
  // A file rather than a pipe: a server whose reader is gone would stop at its next line.
  const log = openSync(options.logFile, 'a');
  try {
    return spawn(command.program, command.args, {
      stdio: ['ignore', log, log],
      env: { ...options.system.env, ...options.env },
      // A process group of its own, so that Ctrl-C in the terminal reaches us alone and we stop things in order.
      detached: true,
      ...(options.runAs === undefined || isWrapped ? {} : options.runAs),
    });
  } finally {
    closeSync(log);
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return code === null ? `was ended by ${signal ?? 'a signal'}` : `ended with exit code ${code}`;
}

/** Starts a server; it is stopped with `stop`, by the end of this process, or by the next start. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  // It goes on where the server before it has ended.
  const logLength = readLog(options.logFile).length;
  const child = spawnServer(options);
  let end: string | undefined;
  let isExpectedToRun = false;
  const killAtExit = (): void => {
    child.kill(options.stopSignal);
  };
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end ??= `could not be started: ${error.message}`;
      resolve();
    });
    child.once('exit', (code, signal) => {
      end ??= describeEnd(code, signal);
      if (isExpectedToRun) options.print(`${options.name} ${end}, unasked; its log is ${options.logFile}`);
      process.off('exit', killAtExit);
      resolve();
    });
  });
  process.on('exit', killAtExit);

  const pid = child.pid;
  if (pid === undefined) {
    process.off('exit', killAtExit);
    await ended;
    throw new Error(`${options.name} ${end ?? 'could not be started'} (${options.program})`);
  }
  options.record.add({ pid, program: basename(options.program), stopSignal: options.stopSignal });

  const stop = async (): Promise<void> => {
    isExpectedToRun = false;
    if (end !== undefined) return;
    child.kill(options.stopSignal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await ended;
    clearTimeout(timer);
  };

  return {
    pid,
    hasEnded: () => end !== undefined,
    kill(signal) {
      if (end === undefined) child.kill(signal);
    },
    async waitUntilReady(isReady) {
      const isUp = await waitUntil(async () => end !== undefined || (await isReady()), START_PATIENCE_MS);
      if (end === undefined && isUp) {
        isExpectedToRun = true;
        return;
      }
      const what = end ?? `did not answer within ${START_PATIENCE_MS / 1000} s`;
      await stop();
      const log = readLog(options.logFile).slice(logLength).trimEnd();
      const message = `${options.name} ${what}. Its log ends with:\n${log.split('\n').slice(-15).join('\n')}`;
      throw PORT_IS_TAKEN.test(log) ? new PortTakenError(message) : new Error(message);
    },
    stop,
  };
}
