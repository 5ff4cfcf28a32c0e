/** One sending process of the bench. Argument: its task as JSON; orders and news by IPC. */
import { Agent, request } from 'node:http';
import { orderSchema, senderTaskSchema, type News } from './messages.js';
import { openPermitSource } from './permit-sources.js';

/** Requests of one account at once. */
const AT_ONCE = 10;

const task = senderTaskSchema.parse(JSON.parse(process.argv[2] ?? ''));
const agent = new Agent({ keepAlive: true });
const sentAtMs: number[] = [];

function tell(news: News): Promise<void> {
  return new Promise((resolve) => void process.send?.(news, () => resolve()));
}

function send(account: string): Promise<number | null> {
  sentAtMs.push(performance.timeOrigin + performance.now());
  return new Promise((resolve, reject) => {
    const sending = request(`${task.target}/${account}`, { agent }, (response) => {
      const blockMs = response.statusCode === 429 ? Number(response.headers['retry-after']) * 1000 : null;
      response.resume().on('end', () => resolve(blockMs));
    });
    sending.on('error', reject).end();
  });
}

const source = await openPermitSource(task, send);

async function sendAll(account: string, requests: number): Promise<void> {
  const started = performance.now();
  await source.sendAll({ account, requests, atOnce: AT_ONCE });
  await tell({ kind: 'through', account, ms: performance.now() - started });
}

async function end(): Promise<void> {
  const { user, system } = process.cpuUsage();
  await tell({ kind: 'ended', sentAtMs, roundTrips: source.roundTrips(), cpuMs: (user + system) / 1000 });
  process.exit(0);
}

process.on('message', (message) => {
  const order = orderSchema.parse(message);
  void (order.kind === 'send' ? sendAll(order.account, order.requests) : end());
});
await tell({ kind: 'ready' });
