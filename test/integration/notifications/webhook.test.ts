import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { createConfiguredNotifier } from '../../../src/notifications/configured-notifier.js';
import { NotificationError, type AlertMessage } from '../../../src/notifications/notifier.js';
import { createWebhookNotifier } from '../../../src/notifications/webhook.js';
import { startTelegramStandIn as startReceiver, type TelegramStandIn } from './telegram-stand-in.js';

const ALERT: AlertMessage = {
  kind: 'system_problem',
  class: 'NoWorker',
  title: 'No worker <polls> the queue',
  details: 'Start one.',
  since: '2026-11-23T14:47:01Z',
};

let receiver: TelegramStandIn;

beforeEach(async () => {
  receiver = await startReceiver();
});

afterEach(async () => {
  await receiver.close();
});

async function failureOf(sending: Promise<void>): Promise<NotificationError> {
  try {
    await sending;
  } catch (error) {
    if (error instanceof NotificationError) return error;
    throw error;
  }
  throw new Error('the message was expected to be refused');
}

test('an alert is posted as data and as plain text', async () => {
  await createWebhookNotifier({ url: `${receiver.url}/hook?key=planted-secret` }).send(ALERT);

  expect(receiver.received).toEqual([
    {
      path: '/hook?key=planted-secret',
      body: { text: expect.stringContaining('No worker <polls> the queue'), alert: ALERT },
    },
  ]);
});

describe('an alert that is not taken', () => {
  test.each([
    [400, 'refused'],
    [422, 'refused'],
    [302, 'unavailable'],
    [401, 'unavailable'],
    [500, 'unavailable'],
  ])('with %i is %s', async (status, kind) => {
    receiver.answerWith((response) => response.writeHead(status, { location: '/elsewhere' }).end('x'));

    const failure = await failureOf(createWebhookNotifier({ url: receiver.url }).send(ALERT));

    expect(failure).toMatchObject({ kind, retryInMs: null });
    expect(receiver.received).toHaveLength(1);
  });

  test('with 429 waits as long as the receiver asks', async () => {
    receiver.answerWith((response) => response.writeHead(429, { 'retry-after': '12' }).end());

    const failure = await failureOf(createWebhookNotifier({ url: receiver.url }).send(ALERT));

    expect(failure).toMatchObject({ kind: 'unavailable', retryInMs: 12_000 });
  });

  test('for want of a connection does not show the address, which may hold a secret', async () => {
    const notifier = createWebhookNotifier({ url: `${receiver.url}/planted-secret` });
    await receiver.close();

    const failure = await failureOf(notifier.send(ALERT));

    expect(failure.message).toContain('ECONNREFUSED');
    expect(inspect(failure, { depth: 10, showHidden: true }) + notifier.destination).not.toContain('planted-secret');
    receiver = await startReceiver();
  });
});

describe('the configured notifier', () => {
  const telegram = { apiUrl: 'https://api.telegram.org', botToken: '1:token', chatId: '-100' };

  test.each([
    [{ telegram, webhookUrl: null }, 'Telegram chat -100'],
    [{ telegram: null, webhookUrl: 'https://hooks.example.com/x' }, 'webhook at hooks.example.com'],
  ])('is the one that is set', (config, destination) => {
    expect(createConfiguredNotifier(config)?.destination).toBe(destination);
  });

  test('is none when nothing is set', () => {
    expect(createConfiguredNotifier({ telegram: null, webhookUrl: null })).toBeNull();
  });
});
