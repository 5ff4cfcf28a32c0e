/**
 * One process that sends as fast as the limiter lets it, until its standard input ends; then prints what it did.
 * Arguments: Redis URL, client id, target URL, quotas as JSON, minutes by which its wall clock is wrong, accounts.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createRateLimiter, type Quota } from '../../../src/rate-limit/limiter.js';
import { parseQuotas } from './quotas-argument.js';

const [redisUrl = '', clientId = '', target = '', quotasText = '[]', wrongMinutes = '0', accounts = ''] =
  process.argv.slice(2);
const AT_ONCE = 12;

const realNow = Date.now;
Date.now = () => realNow() + Number(wrongMinutes) * 60_000;

const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 });
const agent = new Agent({ keepAlive: true });
let dropped = 0;
const limiter = createRateLimiter({
  redis,
  clientId,
  pauseMs: 1,
  onEvent: ({ kind }) => {
    if (kind === 'permit_dropped') dropped += 1;
  },
});

let isEnding = false;
process.stdin.on('end', () => (isEnding = true)).resume();

/** How long a 429 tells to wait, ms; null = accepted. */
function send(account: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const sending = request(`${target}/${account}`, { agent }, (response) => {
      const blockMs = response.statusCode === 429 ? Number(response.headers['retry-after']) * 1000 : null;
      response.resume().on('end', () => resolve(blockMs));
    });
    sending.on('error', reject).end();
  });
}

async function work(quotas: readonly Quota[], party: string): Promise<number> {
  let sent = 0;
  while (!isEnding) {
    const outcome = await limiter.acquire(quotas, { party }).catch(() => null);
    // Where others use the processors Redis may be slow to answer.
    if (outcome === null) await sleep(100);
    else if (outcome.kind === 'refused') await sleep(Math.min(outcome.retryInMs, 1000));
    if (outcome?.kind !== 'granted' || !outcome.isFresh()) continue;
    sent += 1;
    const blockMs = await send(party);
    if (blockMs !== null) await limiter.penalise(quotas, blockMs).catch(() => null);
    else if (outcome.probe) await limiter.answered(quotas).catch(() => null);
  }
  return sent;
}

const quotas = parseQuotas(quotasText);
const sent = await Promise.all(
  accounts.split(',').flatMap((account) => Array.from({ length: AT_ONCE }, () => work(quotas, account))),
);
process.stdout.write(JSON.stringify({ sent: sent.reduce((sum, count) => sum + count, 0), dropped }));
limiter.close();
redis.disconnect();
agent.destroy();
