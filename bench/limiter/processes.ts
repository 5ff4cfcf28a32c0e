import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  newsSchema,
  targetNewsSchema,
  targetReportSchema,
  type News,
  type Order,
  type SenderTask,
  type TargetReport,
} from './messages.js';

/** The server that is sent to, as a process. */
export interface Target {
  child: ChildProcess;
  url: string;
  /** Now, as the target tells the time of arrivals, ms. */
  now(): number;
  stop(): Promise<TargetReport['arrivals']>;
}

export async function startTarget(limit: number): Promise<Target> {
  const child = spawn(process.execPath, ['--import', 'tsx', pathOf('./target.ts'), String(limit)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const started = targetNewsSchema.parse(JSON.parse(await nextLine(lines)));
  return {
    child,
    url: `http://127.0.0.1:${started.port}`,
    now: () => performance.timeOrigin + performance.now(),
    async stop() {
      child.stdin.end();
      return targetReportSchema.parse(JSON.parse(await nextLine(lines))).arrivals;
    },
  };
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const line = await lines.next();
  if (line.done === true) throw new Error('the target server has ended');
  return line.value;
}

/** A sending process. */
export interface Sender {
  child: ChildProcess;
  /** How long it took, ms. */
  sendAll(account: string, requests: number): Promise<number>;
  end(): Promise<Extract<News, { kind: 'ended' }>>;
}

export async function startSender(task: SenderTask): Promise<Sender> {
  const child = fork(pathOf('./sender.ts'), [JSON.stringify(task)], { execArgv: ['--import', 'tsx'] });
  const through = new Map<string, (ms: number) => void>();
  let ended: (news: Extract<News, { kind: 'ended' }>) => void = () => undefined;
  const give = (order: Order): void => void child.send(order);
  const ready = once(child, 'message');
  child.on('message', (message) => {
    const news = newsSchema.parse(message);
    if (news.kind === 'through') through.get(news.account)?.(news.ms);
    if (news.kind === 'ended') ended(news);
  });
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`a sender ended with exit status ${code ?? 'none'}`)));
  });
  failed.catch(() => undefined);
  await Promise.race([ready, failed]);
  return {
    child,
    sendAll(account, requests) {
      const done = new Promise<number>((resolve) => through.set(account, resolve));
      give({ kind: 'send', account, requests });
      return Promise.race([done, failed]);
    },
    end() {
      const report = new Promise<Extract<News, { kind: 'ended' }>>((resolve) => (ended = resolve));
      give({ kind: 'end' });
      return Promise.race([report, failed]);
    },
  };
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
