/**
 * How fast the simulator answers: `npm run bench:simulator [-- --requests 40000] [-- --pages 500] [-- --offers 100000]`. It runs as a
 * process of its own; its CPU time is what is counted, so that other work on the machine and the sender's cost are left out. Linux only.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { simulatorAdmin } from '../simulator/admin-client.js';
import { readUsage } from './process-usage.js';

const MEDIA_TYPE = 'application/vnd.allegro.public.v1+json';
const CONNECTIONS = 32;
const PAGE = 1000;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '40000' },
    pages: { type: 'string', default: '500' },
    offers: { type: 'string', default: '100000' },
  },
});
const requests = Number(values.requests);
const pages = Number(values.pages);
const offers = Number(values.offers);

const startedSchema = z.object({ url: z.string(), accounts: z.array(z.object({ sellerId: z.string() })).min(1) });

async function startSimulator(): Promise<{ child: ChildProcess; url: string; sellerId: string }> {
  const settings = JSON.stringify({ applicationLimit: null, sellerLimits: null });
  const argv = ['simulator/main.ts', '--port', '0', '--json', '--accounts', '1', '--offers', String(offers)];
  const child = spawn(process.execPath, ['--import', 'tsx', ...argv, '--settings', settings], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve));
  const { url, accounts } = startedSchema.parse(JSON.parse(line));
  return { child, url, sellerId: accounts[0]?.sellerId ?? '' };
}

/** Sends one request after the other over a connection, as cheaply as can be. */
class Sender {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #answered: (status: number) => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  async send(request: string): Promise<number> {
    return await new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.toString('latin1', 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    if (this.#received.length < headEnd + 4 + length) return;
    this.#received = Buffer.alloc(0);
    this.#answered(Number(head.slice(9, 12)));
  }
}

interface Measured {
  readonly count: number;
  readonly cpuMsEach: number;
  readonly wallMs: readonly number[];
}

interface Load {
  readonly count: number;
  readonly connections: number;
  readonly next: () => string;
}

/** Sends so many over all connections, after a quarter of that to warm up. @throws Error at an answer that is no success */
async function measure(port: number, { count, connections, next }: Load): Promise<Measured> {
  const senders = Array.from({ length: connections }, () => new Sender(port));
  const sendMany = async (most: number): Promise<number[]> => {
    const wallMs: number[] = [];
    let sent = 0;
    const run = async (sender: Sender): Promise<void> => {
      while (sent < most) {
        sent += 1;
        const sentAt = performance.now();
        const status = await sender.send(next());
        if (status >= 300) throw new Error(`The simulator answered ${status}`);
        wallMs.push(performance.now() - sentAt);
      }
    };
    await Promise.all(senders.map(run));
    return wallMs.sort((a, b) => a - b);
  };
  try {
    await sendMany(count / 4);
    const before = await cpuSeconds();
    const wallMs = await sendMany(count);
    return { count, cpuMsEach: (((await cpuSeconds()) - before) * 1000) / count, wallMs };
  } finally {
    for (const sender of senders) sender.close();
  }
}

async function cpuSeconds(): Promise<number> {
  return (await readUsage())['simulator']?.cpuSeconds ?? 0;
}

function line(what: string, { count, cpuMsEach, wallMs }: Measured): string {
  const at = (share: number): string => (wallMs[Math.floor(wallMs.length * share)] ?? 0).toFixed(2);
  const perCore = Math.round(1000 / cpuMsEach).toLocaleString('en-GB');
  return `| ${what} | ${count.toLocaleString('en-GB')} | ${perCore} | ${cpuMsEach.toFixed(3)} | ${at(0.5)} | ${at(0.99)} |`;
}

const { child, url, sellerId } = await startSimulator();
try {
  const admin = simulatorAdmin(url);
  const { accessToken } = await admin.issueTokens({ sellerId });
  const { offers: some } = await admin.offers({ sellerId, status: 'ACTIVE', limit: 1000 });
  const ids = some.filter(({ format, rejection }) => format === 'BUY_NOW' && rejection === null).map(({ id }) => id);
  const port = Number(new URL(url).port);
  const head =
    `host: 127.0.0.1\r\nauthorization: Bearer ${accessToken}\r\naccept: ${MEDIA_TYPE}\r\ncontent-type: ${MEDIA_TYPE}\r\n` +
    'user-agent: StockSyncBench/1.0.0 (+https://example.com/stock-sync)\r\n';
  const request = (method: string, path: string, body = ''): string =>
    `${method} ${path} HTTP/1.1\r\n${head}content-length: ${body.length}\r\n\r\n${body}`;
  let turn = 0;
  const id = (): string => ids[turn++ % ids.length] ?? '';
  const stock = (): string => `{"stock":{"available":${1 + (turn % 50)}}}`;
  const page = (): string => `/sale/offers?limit=${PAGE}&offset=${(turn++ * PAGE) % Math.max(PAGE, offers - PAGE)}`;
  const small = { count: requests, connections: CONNECTIONS };
  const kinds: [string, Load][] = [
    ['`GET …/parts`', { ...small, next: () => request('GET', `/sale/product-offers/${id()}/parts?include=stock`) }],
    ['`PATCH` of a stock', { ...small, next: () => request('PATCH', `/sale/product-offers/${id()}`, stock()) }],
    [`\`GET /sale/offers\`, ${PAGE} rows`, { count: pages, connections: 1, next: () => request('GET', page()) }],
  ];
  console.log(`${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}, ${offers} offers\n`);
  console.log(
    '| request | sent | a second of one core | CPU ms each | ms, half of them | ms, 99 % |\n|---|---|---|---|---|---|',
  );
  for (const [what, load] of kinds) console.log(line(what, await measure(port, load)));
} finally {
  child.kill('SIGTERM');
}
