import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What tells one process from a later one that got the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** Linux: boot id and clock ticks since boot; elsewhere the start time that `ps` prints. */
  startedAt: string;
  commandLine: string;
}

function identifyByProc(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets and may hold spaces: count from its closing bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, startedAt: `${bootId}/${startTicks}`, commandLine };
  } catch {
    return undefined;
  }
}

function identifyByPs(pid: number): ProcessIdentity | undefined {
  try {
    const [startedAt, commandLine] = ['lstart=', 'command='].map((column) =>
      execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    return { pid, startedAt: (startedAt ?? '').trim(), commandLine: (commandLine ?? '').trim() };
  } catch {
    return undefined;
  }
}

/** The running process with this pid; undefined when there is none or it has ended. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  return process.platform === 'linux' ? identifyByProc(pid) : identifyByPs(pid);
}

/** True while the very process that was recorded is running, not another one with its pid. */
export function isStillRunning(recorded: { pid: number; startedAt: string }): boolean {
  return identifyProcess(recorded.pid)?.startedAt === recorded.startedAt;
}
