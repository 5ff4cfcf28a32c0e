import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONFIG_GROUPS, VARIABLE_NAMES } from '../../src/config-variables.js';
import { ConfigurationError, configuredSecrets, readConfig, type Environment } from '../../src/config.js';

const KEY = Buffer.alloc(32, 7).toString('base64');

/** A complete environment; `undefined` leaves a variable out. */
function anEnvironment(changes: Environment = {}): Environment {
  return {
    ALLEGRO_CLIENT_ID: 'client-id',
    ALLEGRO_CLIENT_SECRET: 'client-secret-value',
    ALLEGRO_USER_AGENT: 'ShopStock/1.2.3 (+https://example.com/stock)',
    DATABASE_URL: 'postgresql://app:database-password@localhost:5432/stock',
    REDIS_URL: 'redis://:redis-password@localhost:6379/0',
    TOKEN_ENCRYPTION_KEY: KEY,
    ...changes,
  };
}

function problemsOf(env: Environment): { variable: string; problem: string; example: string }[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigurationError) return [...error.problems];
    throw error;
  }
  return [];
}

/** The message a person sees for the one variable that is wrong. */
function onlyProblem(env: Environment): string {
  const problems = problemsOf(env);
  expect(problems).toHaveLength(1);
  return problems.map((one) => `${one.variable} ${one.problem} / ${one.example}`).join();
}

describe('a complete environment', () => {
  test('gets the documented defaults', () => {
    const config = readConfig(anEnvironment());

    expect(config.sync).toEqual({
      rateLimit: 9000,
      batchSize: 100,
      retryCount: 3,
      retryDelaySeconds: 30,
      scheduleSeconds: 1800,
      unbookedSalePatienceSeconds: 7200,
      stockMaxAgeSeconds: null,
      commandPatienceSeconds: 900,
      guardMaxEndedPercent: 20,
      bulkModification: false,
      historyRetentionDays: 90,
    });
    expect(config.allegro).toMatchObject({
      environment: 'production',
      apiUrl: 'https://api.allegro.pl',
      authUrl: 'https://allegro.pl',
    });
    expect(config.temporal).toEqual({
      address: 'localhost:7233',
      namespace: 'default',
      connectionOptions: { address: 'localhost:7233' },
    });
    expect(config.http).toEqual({ host: '127.0.0.1', port: 9464 });
    expect(config.notifications).toEqual({ telegram: null, webhookUrl: null });
    expect(config.encryption.key).toEqual(Buffer.alloc(32, 7));
    expect(config.log).toEqual({ level: 'info' });
  });

  test('sends both addresses to the sandbox when the environment is the sandbox', () => {
    const { allegro } = readConfig(anEnvironment({ ALLEGRO_ENVIRONMENT: 'sandbox' }), ['allegro']);

    expect(allegro).toMatchObject({
      environment: 'sandbox',
      apiUrl: 'https://api.allegro.pl.allegrosandbox.pl',
      authUrl: 'https://allegro.pl.allegrosandbox.pl',
    });
  });

  test('takes a stand-in for Allegro on this machine, without the slash at the end', () => {
    const urls = { ALLEGRO_API_URL: 'http://127.0.0.1:4000/', ALLEGRO_AUTH_URL: 'http://127.0.0.1:4000' };

    const { allegro } = readConfig(anEnvironment(urls), ['allegro']);

    expect(allegro).toMatchObject({ environment: 'other', apiUrl: 'http://127.0.0.1:4000' });
  });

  test('hands on Telegram with chat and token', () => {
    const telegram = { ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: '-100123', TELEGRAM_BOT_TOKEN: '12345:abcdefghijkl' };

    expect(readConfig(anEnvironment(telegram), ['notifications']).notifications.telegram).toEqual({
      apiUrl: 'https://api.telegram.org',
      chatId: '-100123',
      botToken: '12345:abcdefghijkl',
    });
  });

  test('follows the environment configuration of Temporal for an API key', () => {
    const { temporal } = readConfig(
      anEnvironment({
        TEMPORAL_ADDRESS: 'cloud.example.com:7233',
        TEMPORAL_NAMESPACE: 'shop',
        TEMPORAL_API_KEY: 'key',
      }),
      ['temporal'],
    );

    expect(temporal).toEqual({
      address: 'cloud.example.com:7233',
      namespace: 'shop',
      connectionOptions: { address: 'cloud.example.com:7233', apiKey: 'key', tls: true },
    });
  });

  test('takes surrounding white space and empty values for what they are', () => {
    const { sync } = readConfig(anEnvironment({ ALLEGRO_SYNC_SCHEDULE: ' 60\r', COMMAND_PATIENCE: '' }), ['sync']);

    expect(sync).toMatchObject({ scheduleSeconds: 60, commandPatienceSeconds: 900 });
  });
});

describe('a command asks only for what it uses', () => {
  test('and does not see problems of other groups', () => {
    const env = { DATABASE_URL: 'postgresql://localhost/stock', HTTP_PORT: 'wrong' };

    expect(readConfig(env, ['database'])).toEqual({ database: { url: 'postgresql://localhost/stock' } });
  });

  test.each([
    ['database', 'DATABASE_URL'],
    ['redis', 'REDIS_URL'],
    ['encryption', 'TOKEN_ENCRYPTION_KEY'],
  ] as const)('and is told when the one variable of %s is missing', (group, name) => {
    expect(() => readConfig({}, [group])).toThrow(new RegExp(`${name} is missing\\n +example: ${name}=.+`));
  });
});

describe('an environment that cannot be used', () => {
  test('is answered with all problems at once, each with an example', () => {
    const problems = problemsOf({ HTTP_PORT: '70000', ALLEGRO_SYNC_RATE_LIMIT: '9.5', LOG_LEVEL: 'loud' });

    expect(problems.map((one) => one.variable).sort()).toEqual([
      'ALLEGRO_CLIENT_ID',
      'ALLEGRO_CLIENT_SECRET',
      'ALLEGRO_SYNC_RATE_LIMIT',
      'ALLEGRO_USER_AGENT',
      'DATABASE_URL',
      'HTTP_PORT',
      'LOG_LEVEL',
      'REDIS_URL',
      'TOKEN_ENCRYPTION_KEY',
    ]);
    for (const one of problems) expect(one.example).toMatch(new RegExp(`^${one.variable}=.+`));
  });

  test.each([
    ['ALLEGRO_SYNC_RATE_LIMIT', '0', 'from 1 to 9000'],
    ['ALLEGRO_SYNC_RATE_LIMIT', '9001', 'from 1 to 9000'],
    ['ALLEGRO_SYNC_BATCH_SIZE', '101', 'from 1 to 100'],
    ['ALLEGRO_SYNC_RETRY_COUNT', '-1', 'from 0 to 10'],
    ['ALLEGRO_SYNC_RETRY_DELAY', '301', 'from 1 to 300'],
    ['ALLEGRO_SYNC_SCHEDULE', '30min', 'whole number'],
    ['UNBOOKED_SALE_PATIENCE', '1e3', 'whole number'],
    ['COMMAND_PATIENCE', '0x10', 'whole number'],
    ['STOCK_MAX_AGE', '31536001', 'seconds; 0 is off'],
    ['GUARD_MAX_ENDED', '101', 'from 0 to 100'],
    ['HISTORY_RETENTION_DAYS', '0', 'from 1 to 3650'],
    ['ALLEGRO_BULK_MODIFICATION', 'yes', '"on" or "off"'],
    ['ALLEGRO_ENVIRONMENT', 'test', '"production" or "sandbox"'],
    ['ALLEGRO_USER_AGENT', 'ShopStock/1.2.3 (https://example.com)', 'must have the form'],
    ['ALLEGRO_USER_AGENT', 'Shop Stock/1.2.3 (+https://example.com)', 'must have the form'],
    ['ALLEGRO_CLIENT_ID', 'two words', 'white space'],
    ['DATABASE_URL', 'mysql://localhost/stock', 'postgresql://'],
    ['DATABASE_URL', 'localhost', 'is not an address'],
    ['REDIS_URL', 'http://localhost:6379', 'redis://'],
    ['TEMPORAL_ADDRESS', 'http://localhost:7233', 'host:port'],
    ['TEMPORAL_TLS', 'maybe', '"true" or "false"'],
    ['TELEGRAM_API_URL', 'ftp://example.com', 'https://'],
    ['TELEGRAM_API_URL', 'http://telegram.example.com', 'must start with https://'],
    ['TELEGRAM_API_URL', 'https://api.telegram.org/?a=1', '"?"'],
    ['TELEGRAM_API_URL', 'https://user:word@api.telegram.org', 'user name'],
    ['ALERT_WEBHOOK_URL', 'http://hooks.example.com/x', 'must start with https://'],
    ['TELEGRAM_BOT_TOKEN', 'not a token', '@BotFather'],
    ['TOKEN_ENCRYPTION_KEY', '*not base64*', 'is not base64'],
    ['TOKEN_ENCRYPTION_KEY', Buffer.alloc(16).toString('base64'), 'holds 16 bytes'],
    ['HTTP_HOST', 'http://0.0.0.0', 'host name or address'],
    ['HTTP_PORT', '-1', 'from 0 to 65535'],
  ])('names %s when it is "%s"', (name, value, expected) => {
    const message = onlyProblem(anEnvironment({ [name]: value }));

    expect(message).toContain(name);
    expect(message).toContain(expected);
  });

  test('says which name is read now when only the old one of the chat is set', () => {
    const message = onlyProblem(anEnvironment({ NOTIFY_GROUP_ID: '-100' }));

    expect(message).toContain('ALLEGRO_ERROR_NOTIFICATION_CHAT_ID is missing');
    expect(message).toContain('NOTIFY_GROUP_ID is set');
  });

  test('is a chat without a bot', () => {
    expect(onlyProblem(anEnvironment({ ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: '-100' }))).toContain(
      'TELEGRAM_BOT_TOKEN is missing',
    );
  });

  test('is a chat and a webhook at once', () => {
    const both = {
      ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: '-100',
      TELEGRAM_BOT_TOKEN: '12345:abcdefghijkl',
      ALERT_WEBHOOK_URL: 'https://example.com/hook?key=1',
    };

    expect(onlyProblem(anEnvironment(both))).toContain('ALERT_WEBHOOK_URL is set together with');
    expect(readConfig({ ALERT_WEBHOOK_URL: both.ALERT_WEBHOOK_URL }, ['notifications']).notifications).toEqual({
      telegram: null,
      webhookUrl: both.ALERT_WEBHOOK_URL,
    });
  });

  test.each([
    ['sandbox', { ALLEGRO_API_URL: 'https://api.allegro.pl' }],
    ['production', { ALLEGRO_API_URL: 'https://api.allegro.pl.allegrosandbox.pl' }],
  ])('is %s together with the address of another one', (environment, urls) => {
    const message = onlyProblem(anEnvironment({ ALLEGRO_ENVIRONMENT: environment, ...urls }));

    expect(message).toContain(`ALLEGRO_API_URL contradicts ALLEGRO_ENVIRONMENT=${environment}`);
  });

  test('is one address of a stand-in and one of the real Allegro: a token would reach a stranger', () => {
    const message = onlyProblem(anEnvironment({ ALLEGRO_API_URL: 'http://127.0.0.1:4000' }));

    expect(message).toContain('ALLEGRO_AUTH_URL belongs to another environment');
  });

  test('is an API key of Temporal without encryption', () => {
    expect(onlyProblem(anEnvironment({ TEMPORAL_API_KEY: 'key', TEMPORAL_TLS: 'false' }))).toContain(
      'TEMPORAL_TLS is off',
    );
  });

  test('is a client certificate without its key', () => {
    const folder = mkdtempSync(join(tmpdir(), 'config-'));
    const certificate = join(folder, 'client.pem');
    writeFileSync(certificate, 'certificate');

    expect(onlyProblem(anEnvironment({ TEMPORAL_TLS_CLIENT_CERT_PATH: certificate }))).toContain(
      'TEMPORAL_TLS_CLIENT_KEY_PATH is missing',
    );
  });

  test('is a certificate file that cannot be read', () => {
    expect(onlyProblem(anEnvironment({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere/ca.pem' }))).toContain(
      'TEMPORAL_TLS_SERVER_CA_CERT_PATH names a file that cannot be read',
    );
  });

  test('never has its values repeated: each could be a secret in the wrong place', () => {
    const wrong = Object.fromEntries(VARIABLE_NAMES.map((name) => [name, `s3cr3t ${name}`]));

    const message = new ConfigurationError(problemsOf(wrong)).message;

    expect(message).toContain('TOKEN_ENCRYPTION_KEY');
    expect(message).not.toContain('s3cr3t');
  });
});

describe('the secrets of an environment', () => {
  test('are found also inside addresses and in the form of a Basic header', () => {
    const env = anEnvironment({
      TELEGRAM_BOT_TOKEN: '12345:abcdefghijkl',
      TEMPORAL_API_KEY: 'temporal-key',
      TEMPORAL_TLS_CLIENT_KEY_DATA: 'private-key',
    });

    expect(configuredSecrets(env)).toEqual([
      'client-secret-value',
      '12345:abcdefghijkl',
      KEY,
      'temporal-key',
      'private-key',
      'database-password',
      'redis-password',
      Buffer.from('client-id:client-secret-value').toString('base64'),
    ]);
  });
});

describe('.env.example', () => {
  const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');

  test('names the same variables as the schema', () => {
    const names = [...text.matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);

    expect(names.sort()).toEqual([...VARIABLE_NAMES].sort());
  });

  test('shows the real defaults', () => {
    const settings: Record<string, string | undefined> = {};
    for (const [, name = '', value = ''] of text.matchAll(/^#([A-Z][A-Z0-9_]+)=(.+)$/gm)) settings[name] = value;

    // TLS is shown as it is for Temporal Cloud; a local server has none.
    expect(readConfig(anEnvironment({ ...settings, TEMPORAL_TLS: undefined }))).toEqual(readConfig(anEnvironment()));
    expect(Object.keys(settings)).toHaveLength(21);
  });

  test('leaves every group readable once the required ones are filled in', () => {
    expect(Object.keys(readConfig(anEnvironment())).sort()).toEqual([...CONFIG_GROUPS].sort());
  });
});
