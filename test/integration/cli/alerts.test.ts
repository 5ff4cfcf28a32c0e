import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { runClient } from './client-under-test.js';

const TOKEN = '123456:telegram-secret-9d41';

interface Telegram {
  readonly env: Record<string, string>;
  readonly received: string[];
}

let stop: () => Promise<void> = () => Promise.resolve();
afterEach(() => stop());

async function telegramThat(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Telegram> {
  const received: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      received.push(body);
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    received,
    env: {
      TELEGRAM_API_URL: `http://127.0.0.1:${port}`,
      TELEGRAM_BOT_TOKEN: TOKEN,
      ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: '-100200',
    },
  };
}

describe('alerts test', () => {
  test('sends one message to the chat', async () => {
    const telegram = await telegramThat((_request, response) => response.end('{"ok":true,"result":{}}'));
    const ran = await runClient(telegram.env, ['alerts', 'test']);
    expect(ran).toMatchObject({ status: 0, stdout: 'A test message was sent to Telegram chat -100200.\n' });
    expect(telegram.received).toHaveLength(1);
    expect(telegram.received[0]).toContain('-100200');
  });

  test('says why a message was refused, and never the token', async () => {
    const telegram = await telegramThat((_request, response) => {
      response.writeHead(403).end('{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked"}');
    });
    const ran = await runClient(telegram.env, ['alerts', 'test']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('Telegram chat -100200 did not take the message');
    expect(ran.stdout + ran.stderr).not.toContain('telegram-secret');
  });

  test('says that alerts go to the log when no chat is configured', async () => {
    const ran = await runClient({}, ['alerts', 'test']);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toContain('alerts go to the log');
  });

  test('refuses the old name of the setting, naming the new one', async () => {
    const ran = await runClient({ NOTIFY_GROUP_ID: '-100200' }, ['alerts', 'test']);
    expect(ran.status).toBe(2);
    expect(ran.stderr).toContain('ALLEGRO_ERROR_NOTIFICATION_CHAT_ID is missing: NOTIFY_GROUP_ID is set');
  });
});
