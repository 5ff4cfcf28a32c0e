import { readdir, readFile } from 'node:fs/promises';

/** What the processes started by this one have used so far, from Linux's /proc. */
export interface Usage {
  /** User and system time, ended children not counted. */
  readonly cpuSeconds: number;
  /** Highest resident memory of the largest process of the part since it started. */
  readonly peakMb: number;
}

/** Clock ticks per second in /proc; fixed on Linux (man 5 proc). */
const TICKS_PER_SECOND = 100;

/** Parts by a word of their command line; a part may be several processes. */
const PARTS: readonly (readonly [part: string, sign: RegExp])[] = [
  ['worker', /src\/worker\.ts/],
  ['simulator', /simulator\/main\.ts/],
  ['temporal', /server start-dev/],
  ['postgres', /postgres/],
  ['redis', /redis-server/],
];

export async function readUsage(): Promise<Record<string, Usage>> {
  const processes = await readDescendants(process.pid);
  const usage: Record<string, Usage> = {};
  for (const [part, sign] of PARTS) {
    const own = processes.filter((one) => sign.test(one.commandLine));
    usage[part] = {
      cpuSeconds: own.reduce((sum, one) => sum + one.cpuSeconds, 0),
      peakMb: Math.max(0, ...own.map((one) => one.peakMb)),
    };
  }
  return usage;
}

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  readonly commandLine: string;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

async function readDescendants(root: number): Promise<ProcessState[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = (await Promise.all(pids.map(readProcess))).flatMap((one) => one ?? []);
  const found = new Set([root]);
  // Parents have lower numbers only mostly: go on until nothing is added.
  for (let before = 0; before !== found.size;) {
    before = found.size;
    for (const one of all) if (found.has(one.parent)) found.add(one.pid);
  }
  return all.filter((one) => one.pid !== root && found.has(one.pid));
}

async function readProcess(pid: string): Promise<ProcessState | null> {
  try {
    const [stat, status, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    // The name, in brackets, may hold anything; what follows is numbers.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
    return {
      pid: Number(pid),
      parent: fields[1] ?? 0,
      commandLine: commandLine.replaceAll('\0', ' '),
      cpuSeconds: ((fields[11] ?? 0) + (fields[12] ?? 0)) / TICKS_PER_SECOND,
      peakMb: Number(peak ?? 0) / 1024,
    };
  } catch {
    // It ended in between.
    return null;
  }
}
