import { afterEach, describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import { got, HTTPError } from 'got';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { SyncError } from '../../../src/domain/errors.js';
import { createLogger, type Logger } from '../../../src/observability/logger.js';
import { createScrubber } from '../../../src/observability/scrubber.js';
import { logSyncError, logSyncOperation } from '../../../src/observability/sync-events.js';
import { createTemporalLogger, temporalRuntimeOptions } from '../../../src/observability/temporal-runtime.js';

const TOKEN = 'opaque-access-token-9f8e7d6c';
const CLIENT_SECRET = 'client+secret/with"quote';
const BASIC = Buffer.from(`client-id:${CLIENT_SECRET}`).toString('base64');

function aLog(secrets: readonly string[] = []): { logger: Logger; output: () => string; lines: () => unknown[] } {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  return {
    logger: createLogger({ level: 'trace', scrubber: createScrubber(secrets), destination }),
    output: () => written.join(''),
    lines: () => written.map((line): unknown => JSON.parse(line)),
  };
}

describe('an HTTP error that holds the request with its Authorization header', () => {
  let server: Server | null = null;

  afterEach(() => void server?.close());

  async function aHttpError(): Promise<HTTPError> {
    server = createServer((request, response) => {
      response.statusCode = 500;
      response.end(JSON.stringify({ echoed: request.headers, url: request.url }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await got(`http://127.0.0.1:${port}/bot12345:telegram-token-abcdef/sendMessage`, {
        headers: { authorization: `Bearer ${TOKEN}` },
        form: { refresh_token: 'refresh-token-1234567890', client_secret: CLIENT_SECRET },
        method: 'POST',
        retry: { limit: 0 },
      });
    } catch (error) {
      if (error instanceof HTTPError) return error;
      throw error;
    }
    throw new Error('the request was expected to fail');
  }

  const secrets = [TOKEN, 'telegram-token-abcdef', 'refresh-token-1234567890', 'client+secret', 'client%2Bsecret'];

  test.each([
    ['as err', (logger: Logger, error: Error) => logger.error({ err: error }, 'failed')],
    ['as error', (logger: Logger, error: Error) => logger.error({ error }, 'failed')],
    ['as the whole line', (logger: Logger, error: Error) => logger.error(error)],
    ['deep inside other fields', (logger: Logger, error: Error) => logger.warn({ call: { attempts: [{ error }] } })],
    [
      'as the cause of another',
      (logger: Logger, error: Error) => logger.warn({ err: new Error('no', { cause: error }) }),
    ],
    ['as a field of a child logger', (logger: Logger, error: Error) => logger.child({ error }).info('started')],
    [
      'by its response and options',
      (logger: Logger, error: Error) =>
        error instanceof HTTPError && logger.warn({ o: error.options, r: error.response }),
    ],
    [
      'through the Temporal SDK',
      (logger: Logger, error: Error) =>
        void createTemporalLogger(logger).warn('Activity failed', { error, attempt: 1 }),
    ],
    [
      'through the Temporal SDK as the cause of a failure',
      (logger: Logger, error: Error) =>
        void createTemporalLogger(logger).log('ERROR', 'Activity failed', {
          error: ApplicationFailure.create({ message: 'no', cause: error }),
        }),
    ],
  ])('shows none of it when logged %s, even to a logger that knows no secret', async (_how, write) => {
    const log = aLog();

    write(log.logger, await aHttpError());

    expect(log.lines()).toHaveLength(1);
    for (const secret of secrets) expect(log.output()).not.toContain(secret);
  });

  test('is reduced to what a person needs: no options, headers or body, whatever they hold', async () => {
    const log = aLog();
    const error = await aHttpError();

    log.logger.error({ err: error, error, deep: [{ error }] });

    expect(log.output()).not.toMatch(/"(options|headers|response|request|body|form)"|authorization/i);
  });

  test('still says what failed', async () => {
    const log = aLog();

    log.logger.error({ err: await aHttpError() }, 'failed');

    expect(log.lines()).toMatchObject([
      { level: 'error', msg: 'failed', err: { name: 'HTTPError', code: 'ERR_NON_2XX_3XX_RESPONSE' } },
    ]);
    expect(log.output()).toContain('500');
  });
});

describe('a known secret', () => {
  test.each([
    ['as it is', CLIENT_SECRET],
    ['in JSON inside a string', JSON.stringify({ echoed: JSON.stringify({ secret: CLIENT_SECRET }) })],
    ['as part of an address', `https://example.com/?s=${encodeURIComponent(CLIENT_SECRET)}`],
    ['in a Basic header', `authorization: Basic ${BASIC}`],
  ])('is replaced in the finished line: %s', (_how, text) => {
    const log = aLog([CLIENT_SECRET, BASIC]);

    log.logger.info({ text }, `said: ${text}`);

    expect(log.output()).not.toContain('client+secret');
    expect(log.output()).not.toContain('client%2Bsecret');
    expect(log.output()).not.toContain(BASIC);
    expect(log.output()).toContain('[secret]');
  });

  test('that is configured is never forgotten, however many tokens come and go', () => {
    const scrubber = createScrubber([CLIENT_SECRET]);

    for (let number = 0; number < 2_000; number += 1) scrubber.learn(`token-number-${number}`);

    expect(scrubber.scrub(CLIENT_SECRET)).toBe('[secret]');
    expect(scrubber.scrub('token-number-1999')).toBe('[secret]');
  });

  test('that is learned while running is replaced from then on', () => {
    const scrubber = createScrubber([]);

    scrubber.learn(TOKEN);

    expect(scrubber.scrub(`token ${TOKEN} refused`)).toBe('token [secret] refused');
  });

  test('of a few characters is not searched for, since it would shred ordinary text', () => {
    expect(createScrubber(['allegro']).scrub('allegro_sync_operation')).toBe('allegro_sync_operation');
  });
});

describe('text that looks like a secret', () => {
  test.each([
    ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE2OTk', 'eyJhbGci'],
    ['got eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE2OTk5.c2lnbmF0dXJl back', 'c2lnbmF0dXJl'],
    ['POST https://api.telegram.org/bot987654:AAxyz_-123/sendMessage', 'AAxyz'],
    ['grant_type=refresh_token&refresh_token=abc123&x=1', 'abc123'],
    ['{"refresh_token":"abc123","token_type":"bearer"}', 'abc123'],
    ['"{\\"refresh_token\\":\\"abc123\\"}"', 'abc123'],
    ['connect postgresql://app:hunter2@db:5432/stock failed', 'hunter2'],
    ['redis://:hunter2@redis:6379', 'hunter2'],
  ])('is censored: %s', (text, secret) => {
    expect(createScrubber([]).scrub(text)).not.toContain(secret);
  });

  test.each([
    'The refresh token was refused: authorize the account again',
    'Basic configuration read from bot settings',
    'GET https://api.allegro.pl/sale/offers?limit=1000 answered 429',
  ])('is not seen in: %s', (text) => {
    expect(createScrubber([]).scrub(text)).toBe(text);
  });

  test.each(['Authorization', 'refresh_token', 'clientSecret', 'TELEGRAM_BOT_TOKEN', 'x.password'])(
    'is censored by the name of its field: %s',
    (name) => {
      const log = aLog();

      log.logger.info({ headers: { [name.replace('x.', '')]: 'short' } });

      expect(log.output()).not.toContain('short');
    },
  );
});

describe('a line of the log', () => {
  test('keeps type, facts and stack of a SyncError', () => {
    const log = aLog();

    log.logger.warn({ err: new SyncError('OfferRejected', 'refused', { status: 422, traceId: 'trace-1' }) }, 'failed');

    expect(log.lines()).toMatchObject([
      { err: { name: 'OfferRejected', type: 'OfferRejected', facts: { status: 422, traceId: 'trace-1' } } },
    ]);
    expect(log.output()).toContain('logger.test');
  });

  test('is written for values that JSON cannot hold', () => {
    const log = aLog();
    const circular: Record<string, unknown> = { at: new Date(0), bad: new Date(Number.NaN), big: 10n };
    circular.self = circular;

    log.logger.info(circular);

    expect(log.lines()).toMatchObject([{ at: '1970-01-01T00:00:00.000Z', bad: null, big: '10' }]);
  });

  test.each([
    ['allegro_sync_operation', 'info'],
    ['allegro_sync_error', 'warn'],
  ])('of the event %s holds its fields', (event, level) => {
    const log = aLog();
    const fields = { operation: 'writeOffer', accountId: 'main', offerId: '1', durationMs: 5, permitWaitMs: 2 };

    if (level === 'info') logSyncOperation(log.logger, fields);
    else logSyncError(log.logger, { ...fields, errorClass: 'OfferConflict', message: 'refused' });

    expect(log.lines()).toMatchObject([{ event, level, ...fields }]);
  });

  test.each(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const)('keeps the level %s of the Temporal SDK', (level) => {
    const log = aLog();

    createTemporalLogger(log.logger).log(level, 'message', { sdkComponent: 'worker' });

    expect(log.lines()).toMatchObject([{ level: level.toLowerCase(), msg: 'message', sdkComponent: 'worker' }]);
  });
});

test('the Temporal runtime forwards the logs of its core and serves its metrics where it is told', () => {
  const { logger } = aLog();

  expect(temporalRuntimeOptions({ logger, metricsAddress: '127.0.0.1:9999' }).telemetryOptions).toEqual({
    logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} },
    metrics: { prometheus: { bindAddress: '127.0.0.1:9999' } },
  });
  expect(temporalRuntimeOptions({ logger, metricsAddress: null }).telemetryOptions).not.toHaveProperty('metrics');
});
