import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { NotificationError, type AlertMessage } from '../../../src/notifications/notifier.js';
import { createTelegramNotifier, type TelegramOptions } from '../../../src/notifications/telegram.js';
import { createLogger } from '../../../src/observability/logger.js';
import { createTemporalLogger } from '../../../src/observability/temporal-runtime.js';
import { sendJson, startTelegramStandIn, type TelegramStandIn } from './telegram-stand-in.js';

const TOKEN = '123456789:AAbot-token_planted-secret';
const TEST_MESSAGE: AlertMessage = { kind: 'test', at: '2026-11-23T14:47:01Z' };

let telegram: TelegramStandIn;

beforeEach(async () => {
  telegram = await startTelegramStandIn();
});

afterEach(async () => {
  await telegram.close();
});

function aNotifier(changes: Partial<TelegramOptions> = {}) {
  return createTelegramNotifier({
    apiUrl: telegram.url,
    botToken: TOKEN,
    chatId: '-100123',
    timeZone: 'Europe/Warsaw',
    ...changes,
  });
}

async function failureOf(sending: Promise<void>): Promise<NotificationError> {
  try {
    await sending;
  } catch (error) {
    if (error instanceof NotificationError) return error;
    throw error;
  }
  throw new Error('the message was expected to be refused');
}

test('a message goes to the chat as HTML, in one request', async () => {
  await aNotifier().send(TEST_MESSAGE);

  expect(telegram.received).toEqual([
    {
      path: `/bot${TOKEN}/sendMessage`,
      body: {
        chat_id: '-100123',
        parse_mode: 'HTML',
        link_preview_options: { is_disabled: true },
        text: expect.stringContaining('2026-11-23 15:47:01 GMT+01:00'),
      },
    },
  ]);
});

test('the name of the destination holds the chat and no token', () => {
  expect(aNotifier().destination).toBe('Telegram chat -100123');
});

describe('a message that was not taken', () => {
  test('names the time after which Telegram wants the next one', async () => {
    telegram.answerWith((response) =>
      sendJson(response, 429, {
        ok: false,
        error_code: 429,
        description: 'Too Many Requests: retry after 37',
        parameters: { retry_after: 37 },
      }),
    );

    const failure = await failureOf(aNotifier().send(TEST_MESSAGE));

    expect(failure).toMatchObject({ kind: 'unavailable', retryInMs: 37_000 });
    expect(telegram.received).toHaveLength(1);
  });

  test.each([
    [400, "Bad Request: can't parse entities", 'refused'],
    [400, 'Bad Request: message is too long', 'refused'],
    [400, 'Bad Request: chat not found', 'unavailable'],
    [401, 'Unauthorized', 'unavailable'],
    [403, 'Forbidden: bot was kicked from the group chat', 'unavailable'],
    [404, 'Not Found', 'unavailable'],
    [500, 'Internal Server Error', 'unavailable'],
  ])('with %i "%s" is %s', async (status, description, kind) => {
    telegram.answerWith((response) => sendJson(response, status, { ok: false, error_code: status, description }));

    const failure = await failureOf(aNotifier().send(TEST_MESSAGE));

    expect(failure).toMatchObject({ kind, retryInMs: null });
    expect(failure.message).toBe(`Telegram answered ${status}: ${description}`);
  });

  test('because the group became a supergroup says which chat to set', async () => {
    telegram.answerWith((response) =>
      sendJson(response, 400, {
        ok: false,
        description: 'Bad Request: group chat was upgraded to a supergroup chat',
        parameters: { migrate_to_chat_id: -100987 },
      }),
    );

    const failure = await failureOf(aNotifier().send(TEST_MESSAGE));

    expect(failure.kind).toBe('unavailable');
    expect(failure.message).toContain('ALLEGRO_ERROR_NOTIFICATION_CHAT_ID=-100987');
  });

  test.each([
    ['an answer that is not JSON', (response: { end(text: string): unknown }) => void response.end('<html>')],
    ['a 200 that says it is not ok', (response: { end(text: string): unknown }) => void response.end('{"ok":false}')],
  ])('is %s', async (_what, answer) => {
    telegram.answerWith(answer);

    expect((await failureOf(aNotifier().send(TEST_MESSAGE))).kind).toBe('unavailable');
  });

  test('is one that Telegram does not answer in time', async () => {
    telegram.answerWith(() => undefined);

    const failure = await failureOf(aNotifier({ timeoutMs: 200 }).send(TEST_MESSAGE));

    expect(failure.message).toBe('Telegram could not be reached (ETIMEDOUT)');
  });

  test('is one whose connection is refused', async () => {
    const { url } = telegram;
    await telegram.close();
    const notifier = aNotifier({ apiUrl: url });

    const failure = await failureOf(notifier.send(TEST_MESSAGE));

    expect(failure.message).toBe('Telegram could not be reached (ECONNREFUSED)');
    telegram = await startTelegramStandIn();
  });

  test('is not sent on to another address', async () => {
    telegram.answerWith((response) => response.writeHead(302, { location: `${telegram.url}/elsewhere` }).end());

    await failureOf(aNotifier().send(TEST_MESSAGE));

    expect(telegram.received).toHaveLength(1);
  });
});

describe('the token, which is part of the address', () => {
  test.each([
    ['a refused connection', 'close'],
    ['a time-out', 'hang'],
    ['a 500 that echoes the request', 'echo'],
    ['a cut connection', 'cut'],
  ] as const)('appears neither in the error nor in any log after %s', async (_what, fault) => {
    telegram.answerWith((response) => {
      if (fault === 'cut') response.destroy();
      if (fault === 'echo') {
        const request = telegram.received[0];
        sendJson(response, 500, { ok: false, description: `failed: ${request?.path ?? ''}` });
      }
    });
    const notifier = aNotifier({ timeoutMs: 200 });
    if (fault === 'close') await telegram.close();
    let output = '';
    // A logger that knows no secret and sees only the error.
    const logger = createLogger({ level: 'trace', destination: { write: (line: string) => void (output += line) } });

    const failure = await failureOf(notifier.send(TEST_MESSAGE));
    logger.error({ err: failure });
    createTemporalLogger(logger).warn('Activity failed', { error: failure });
    output += inspect(failure, { depth: 10, showHidden: true }) + JSON.stringify(failure) + String(failure.stack);

    expect(output).toContain('Telegram');
    expect(output).not.toContain('AAbot-token');
    if (fault === 'close') telegram = await startTelegramStandIn();
  });
});
