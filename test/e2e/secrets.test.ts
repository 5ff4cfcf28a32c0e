import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { syncAccountId } from '../../src/workflows/api.js';
import { until } from '../integration/cli/temporal-namespace.js';
import { runningOffers, startUnderTest, stockOf, type ApplicationUnderTest } from './application-under-test.js';
import { startEchoingProxy, type EchoingProxy } from './echoing-proxy.js';
import { findSecrets, textOf, type Output } from './secrets-search.js';

const SELLERS = ['44000001', '44000002'] as const;
/** With characters that an address, JSON and Base64 write in different ways. */
const CLIENT_SECRET = `client/secret+${randomBytes(9).toString('hex')}="&`;
const BOT_TOKEN = `987654321:${randomBytes(18).toString('base64url')}`;
const MADE_UP_TOKEN = `made-up-${randomBytes(18).toString('base64url')}`;
/** The key before the worker's, and one that replaces the worker's while it runs. */
const [EARLIER_KEY, LATER_KEY] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
/** What the faults below are to lead to; what was taken out of their texts shows as `[redacted]`. */
const REPORTED = [
  ...['OfferRejected', 'OutcomeUnknown', 'MarketplaceUnavailable', 'TokenRevoked', 'Telegram answered 401'],
  ...['ApplicationRefused', 'encrypted with key', 'TOKEN_ENCRYPTION_KEY_PREVIOUS'],
];

let running: ApplicationUnderTest;
let proxy: EchoingProxy;
let telegram: { url: string; texts: string[]; stop(): Promise<void> };
const outputs: Output[] = [];
const keyStatuses: number[] = [];

/** Refuses each message, repeating the address of the call, of which the bot's token is a part. */
async function startRefusingTelegram(): Promise<typeof telegram> {
  const texts: string[] = [];
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => texts.push(text));
    request.on('end', () => {
      const refusal = { ok: false, error_code: 401, description: `Unauthorized: ${request.url ?? ''}` };
      response.writeHead(401, { 'content-type': 'application/json' }).end(JSON.stringify(refusal));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url, texts, stop };
}

/** Runs a command and keeps what it printed. */
async function client(args: string[], options: { stdin?: string; env?: Record<string, string> } = {}): Promise<number> {
  const { status, stdout, stderr } = await running.application.runClient(args, options);
  outputs.push({ name: `output of ${args.join(' ')}`, text: stdout + stderr });
  return status;
}

function secrets(): Map<string, string> {
  const { env } = running.application;
  return new Map([
    ['client secret', CLIENT_SECRET],
    ['bot token', BOT_TOKEN],
    ...[env['TOKEN_ENCRYPTION_KEY'] ?? '', EARLIER_KEY, LATER_KEY].flatMap((key, index): [string, string][] => [
      [`encryption key ${index + 1}`, key],
      [`hexadecimal encryption key ${index + 1}`, Buffer.from(key, 'base64').toString('hex')],
    ]),
    ['database password', new URL(env['DATABASE_URL'] ?? '').password],
    ['made-up refresh token', MADE_UP_TOKEN],
    ...proxy.heard,
  ]);
}

/** A 401, a time-out, refusals and failures that repeat the request, for single offers. */
async function driveOffers(): Promise<void> {
  proxy.plant({ route: /^GET \/sale\/offers/, answer: 401, times: 1 });
  const patch = /^PATCH \/sale\/product-offers/;
  for (const answer of [422, 500, 409, 403, 'hang'] as const) proxy.plant({ route: patch, answer, times: 1 });
  await running.application.admin.plantFault({ match: { method: 'PATCH', times: 1 }, fault: { kind: 'echo' } });
  await client(['sync', '--account', 'shop-1', '--json']);
}

/** A marketplace that fails as a whole, until the run is cancelled; then a revoked token. */
async function driveAccount(): Promise<void> {
  proxy.plant({ route: /^GET \/sale\/offers/, answer: 500, times: 1000 });
  await client(['sync', '--account', 'shop-2', '--detach']);
  const handle = running.temporal.client.workflow.getHandle(syncAccountId('shop-2'));
  await until('an attempt has failed', async () => {
    const description = await handle.describe();
    outputs.push({ name: 'pending activities', text: textOf(description.raw) });
    return (description.raw.pendingActivities ?? []).some(({ lastFailure }) => lastFailure != null);
  });
  await client(['status']);
  await handle.cancel();
  await handle.result();
  proxy.clear();
  proxy.plant({ route: /oauth\/token/, answer: 400, times: 2 });
  await running.application.admin.revokeTokens(SELLERS[1]);
  await client(['sync', '--account', 'shop-2']);
}

/** Keys replaced while a worker does not know the new one, without the key before, and with a wrong one. */
async function driveKeys(): Promise<void> {
  const key = running.application.env['TOKEN_ENCRYPTION_KEY'] ?? '';
  const rotate = (now: string, before: string): Promise<number> =>
    client(['accounts', 'rotate-key'], { env: { TOKEN_ENCRYPTION_KEY: now, TOKEN_ENCRYPTION_KEY_PREVIOUS: before } });
  keyStatuses.push(await rotate(LATER_KEY, ''), await rotate(LATER_KEY, EARLIER_KEY), await rotate(LATER_KEY, key));
  await client(['sync', '--account', 'shop-1']);
  await client(['incidents']);
  keyStatuses.push(await rotate(key, LATER_KEY), await rotate(key, key), await rotate(key, `${EARLIER_KEY}AAAA`));
}

async function driveConfiguration(): Promise<void> {
  const { env } = running.application;
  const database = new URL(env['DATABASE_URL'] ?? '');
  const nobody = `postgres://${database.username}:${database.password}@127.0.0.1:1/nobody`;
  await client(['status'], { env: { DATABASE_URL: nobody } });
  await client(['status'], { env: { DATABASE_URL: `postgres//${database.username}:${database.password}@nowhere` } });
  await client(['status'], { env: { TOKEN_ENCRYPTION_KEY: `${env['TOKEN_ENCRYPTION_KEY'] ?? ''}AAAA` } });
  await client(['status'], { env: { TELEGRAM_BOT_TOKEN: `${BOT_TOKEN} and more`, ALLEGRO_CLIENT_ID: '' } });
}

async function collect(): Promise<void> {
  const { application, temporal } = running;
  for (const command of [
    ...['accounts list', 'accounts show shop-1', 'changes', 'incidents', 'status', 'stock list', 'alerts test'],
    'history TEA-001',
  ]) {
    await client(command.split(' '));
    await client([...command.split(' '), '--json']);
  }
  for (const path of ['metrics', 'metrics/allegro-sync', 'healthz', 'readyz', 'health/sync', '']) {
    const response = await fetch(`${application.httpUrl}/${path}`);
    outputs.push({ name: `HTTP /${path}`, text: await response.text() });
  }
  for (const file of application.logFiles.workers) {
    outputs.push({ name: 'log of a worker', text: await readFile(file, 'utf8') });
  }
  for (const { pid } of application.workers) {
    outputs.push({ name: 'process list', text: await readFile(`/proc/${pid}/cmdline`, 'utf8') });
  }
  for await (const { workflowId, runId } of temporal.client.workflow.list()) {
    const history = await temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
    outputs.push({ name: `history of ${workflowId}`, text: textOf(history) });
  }
  outputs.push({ name: 'alerts', text: telegram.texts.join('\n') });
  outputs.push({ name: 'database', text: await dumpDatabase(application.env['DATABASE_URL'] ?? '') });
}

async function dumpDatabase(connectionString: string): Promise<string> {
  const connection = new pg.Client({ connectionString });
  await connection.connect();
  try {
    const tables = await connection.query<{ name: string }>(
      `select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`,
    );
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await connection.query<{ text: string }>(`select t::text as text from ${name} t`);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts.join('\n');
  } finally {
    await connection.end();
  }
}

beforeAll(async () => {
  [proxy, telegram] = await Promise.all([startEchoingProxy(), startRefusingTelegram()]);
  running = await startUnderTest({
    simulator: {
      accounts: SELLERS.map((sellerId) => ({ sellerId, offers: 0 })),
      settings: { clients: { 'local-client': CLIENT_SECRET } },
    },
    env: {
      ...{ ALLEGRO_API_URL: proxy.url, ALLEGRO_AUTH_URL: proxy.url, ALLEGRO_CLIENT_SECRET: CLIENT_SECRET },
      ...{ TELEGRAM_API_URL: telegram.url, TELEGRAM_BOT_TOKEN: BOT_TOKEN },
      TOKEN_ENCRYPTION_KEY_PREVIOUS: EARLIER_KEY,
    },
  });
  const { application, importStock } = running;
  proxy.forwardTo(application.simulatorUrl);
  await application.admin.addOffers(
    SELLERS.flatMap((sellerId) => runningOffers('TEA', [9, 9, 9, 9, 9, 9, 9, 9], sellerId)),
  );
  await importStock(stockOf('TEA', [1, 2, 3, 4, 5, 6, 7, 8]));
  proxy.plant({ route: /oauth\/token/, answer: 400, times: 1 });
  const add = ['accounts', 'add', 'spoilt', '--name', 'Spoilt', '--refresh-token-stdin'];
  await client(add, { stdin: MADE_UP_TOKEN });
  proxy.clear();
  await application.connectAccounts('live');
  await driveOffers();
  await driveAccount();
  await driveKeys();
  await driveConfiguration();
  await collect();
}, 180_000);

afterAll(async () => {
  await running.close();
  await Promise.all([proxy.stop(), telegram.stop()]);
});

describe('secrets that were repeated by a 401, 4xx and 5xx answers, a time-out, a refused alert and wrong settings', () => {
  test('went by: both tokens of both accounts, and refusals that name them', () => {
    const kinds = [...proxy.heard.keys()].map((name) => name.replace(/ \d+$/, ''));

    expect(kinds.filter((kind) => kind === 'access token').length).toBeGreaterThan(2);
    expect(kinds.filter((kind) => kind === 'refresh token').length).toBeGreaterThan(2);
    expect(telegram.texts.length).toBeGreaterThan(0);
    const texts = outputs.map(({ text }) => text).join('\n');
    for (const told of [...REPORTED, '[redacted]']) {
      expect(texts).toContain(told);
    }
  });

  test('went by: keys that were replaced, refused and wrong', () => {
    expect(keyStatuses).toEqual([1, 1, 0, 0, 2, 2]);
  });

  test('stand in no log, output, history, metric, alert, database row or process list', () => {
    expect(outputs.length).toBeGreaterThan(30);
    for (const { name, text } of outputs) expect({ name, isEmpty: text === '' }).toEqual({ name, isEmpty: false });

    expect(findSecrets(outputs, secrets())).toEqual([]);
  });

  test('would have been found: each of them, wherever one had been left', () => {
    for (const [name, secret] of secrets()) {
      for (const { name: place, text } of outputs) {
        const leak = { name: place, text: `${text}\nrequest failed: ${secret}\n` };
        expect(findSecrets([leak], new Map([[name, secret]]))).toEqual([`${name} in ${place}`]);
      }
    }
  });
});

describe('the search for secrets', () => {
  const secret = 'a/secret+word="of&mine';
  const found = (text: string): string[] => findSecrets([{ name: 'log', text }], new Map([['word', secret]]));

  test.each([
    { form: 'as itself', text: `Authorization: ${secret}!` },
    { form: 'URL-encoded', text: `?token=${encodeURIComponent(secret)}&x=1` },
    { form: 'in JSON', text: JSON.stringify({ nested: { secret } }) },
    { form: 'hexadecimal', text: Buffer.from(secret).toString('hex') },
    ...['', 'i', 'id', 'id:', 'four'].map((before) => ({
      form: `in Base64 after "${before}"`,
      text: `Basic ${Buffer.from(`${before}${secret} and more`).toString('base64')}`,
    })),
    { form: 'in the Base64 of addresses', text: Buffer.from(`id:${secret}`).toString('base64url') },
  ])('finds one $form', ({ text }) => {
    expect(found(text)).toEqual(['word in log']);
  });

  test('finds none in text without it', () => {
    expect(found('a/secret+word="of yours; Basic aWQ6c29tZXRoaW5nIGVsc2U=')).toEqual([]);
  });

  test('decodes the payloads of a history', () => {
    const message = {
      events: [{ input: { payloads: [{ data: Buffer.from(`{"x":"${encodeURIComponent(secret)}"}`) }] } }],
    };

    expect(found(textOf(message))).toEqual(['word in log']);
  });
});
