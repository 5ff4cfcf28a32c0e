/**
 * The server that is sent to: counts what arrives, allows `limit` requests in any 60 s, and blocks for 60 s whoever
 * exceeds it. Argument: the limit. Prints its port; prints all arrivals when its standard input ends.
 */
import { createServer } from 'node:http';
import type { TargetReport } from './messages.js';

const WINDOW_MS = 60_000;
const ANSWER_MS = 20;

const limit = Number(process.argv[2]);
const arrivals: TargetReport['arrivals'] = [];
const accepted: number[] = [];
let oldest = 0;
let blockedUntilMs = 0;

function isRefused(now: number): boolean {
  if (now < blockedUntilMs) return true;
  while ((accepted[oldest] ?? now) <= now - WINDOW_MS) oldest += 1;
  if (accepted.length - oldest >= limit) {
    blockedUntilMs = now + WINDOW_MS;
    return true;
  }
  accepted.push(now);
  return false;
}

const server = createServer((request, response) => {
  const now = performance.timeOrigin + performance.now();
  const refused = isRefused(now);
  arrivals.push({ atMs: now, account: (request.url ?? '').slice(1), isRefused: refused });
  if (refused) response.writeHead(429, { 'retry-after': String(Math.ceil((blockedUntilMs - now) / 1000)) });
  setTimeout(() => response.end(), ANSWER_MS);
});

// A connection that is closed while idle could be closed under a request that is just being sent.
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 })}\n`);
});

process.stdin.resume().on('end', () => {
  process.stdout.write(JSON.stringify({ arrivals }), () => process.exit(0));
});
