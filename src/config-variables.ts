import { z } from 'zod';

/** Describes one variable; the example is shown beside every problem with it. */
function variable<Schema extends z.ZodType>(example: string, schema: Schema): Schema {
  return schema.meta({ examples: [example] });
}

function wholeNumber(range: { from: number; to: number; otherwise: number; unit: string }) {
  const wanted = `must be a whole number from ${range.from} to ${range.to} (${range.unit})`;
  const schema = z
    .string()
    .regex(/^-?\d{1,15}$/, wanted)
    .transform(Number)
    .refine((value) => value >= range.from && value <= range.to, wanted)
    .default(range.otherwise);
  return variable(String(range.otherwise), schema);
}

const required = z.string('is missing');
const oneWord = required.regex(/^\S+$/, 'must not hold white space');

const PLAIN_HTTP_HOST = /^(localhost|127(\.\d+){3}|\[::1\]|[a-z0-9_-]+)$/i;

/** Secrets travel over these: plain http only within the machine or to a neighbour container (a name without a dot). */
const secretWebUrl = z.string().superRefine((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    context.addIssue('must be an address that starts with https://');
  } else if (url.protocol === 'http:' && !PLAIN_HTTP_HOST.test(url.hostname)) {
    context.addIssue('must start with https:// (plain http only to this machine or a neighbour container)');
  } else if (url.username !== '' || url.password !== '') {
    context.addIssue('must not hold a user name or password');
  }
});

/** The beginning of addresses. */
const webUrl = secretWebUrl
  .refine((text) => !/[?#]/.test(text), 'must not hold a "?" or "#" part')
  .transform((text) => text.replace(/\/+$/, ''));

function connectionUrl(schemes: readonly string[]) {
  return required.superRefine((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null) context.addIssue('is not an address');
    else if (!schemes.includes(url.protocol)) {
      context.addIssue(`must start with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`);
    } else if (url.hostname === '' && !url.searchParams.has('host')) context.addIssue('names no host');
  });
}

function readEncryptionKey(text: string, context: z.RefinementCtx): Buffer {
  const key = Buffer.from(text, 'base64');
  const isExact = key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '');
  if (!isExact) context.addIssue('is not base64');
  else if (key.length !== 32) context.addIssue(`holds ${key.length} bytes; it must hold exactly 32, in base64`);
  return key;
}

const USER_AGENT = /^[A-Za-z0-9][\w.-]*\/\d+\.\d+\.\d+ \(\+https:\/\/[^\s()]+\)$/;

/** What each group of settings reads; the names are those of `.env.example`. */
export const SCHEMAS = {
  allegro: z.object({
    ALLEGRO_ENVIRONMENT: variable(
      'sandbox',
      z.enum(['production', 'sandbox'], 'must be "production" or "sandbox"').optional(),
    ),
    ALLEGRO_API_URL: variable('https://api.allegro.pl', webUrl.optional()),
    ALLEGRO_AUTH_URL: variable('https://allegro.pl', webUrl.optional()),
    ALLEGRO_CLIENT_ID: variable('0123456789abcdef', oneWord),
    ALLEGRO_CLIENT_SECRET: variable('the secret shown at https://apps.developer.allegro.pl', oneWord),
    ALLEGRO_USER_AGENT: variable(
      'MyShopStock/1.0.0 (+https://example.com/stock)',
      required.regex(USER_AGENT, 'must have the form Name/1.2.3 (+https://page-about-the-application)'),
    ),
  }),
  database: z.object({
    DATABASE_URL: variable(
      'postgresql://user:password@localhost:5432/allegro_stock_sync',
      connectionUrl(['postgresql:', 'postgres:']),
    ),
  }),
  redis: z.object({ REDIS_URL: variable('redis://localhost:6379/0', connectionUrl(['redis:', 'rediss:'])) }),
  // Only what can be checked without connecting; the values themselves are read by Temporal's own loader.
  temporal: z.object({
    TEMPORAL_ADDRESS: variable('localhost:7233', oneWord.regex(/^[^/]+:\d{1,5}$/, 'must be host:port').optional()),
    TEMPORAL_NAMESPACE: variable('default', oneWord.optional()),
    TEMPORAL_API_KEY: variable('the key made at Temporal Cloud', oneWord.optional()),
    TEMPORAL_TLS: variable('true', z.enum(['true', 'false', '1', '0'], 'must be "true" or "false"').optional()),
    TEMPORAL_TLS_CLIENT_CERT_PATH: variable('/etc/temporal/client.pem', z.string().optional()),
    TEMPORAL_TLS_CLIENT_KEY_PATH: variable('/etc/temporal/client.key', z.string().optional()),
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: variable('/etc/temporal/ca.pem', z.string().optional()),
    TEMPORAL_TLS_SERVER_NAME: variable('temporal.example.com', oneWord.optional()),
  }),
  notifications: z.object({
    ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: variable(
      '-1001234567890',
      z
        .string()
        .regex(/^(-?\d{1,20}|@\w{5,})$/, 'must be the number of a chat, or the @name of a channel')
        .optional(),
    ),
    TELEGRAM_BOT_TOKEN: variable(
      '<digits>:<letters>, as @BotFather gives it',
      z
        .string()
        .regex(/^\d+:[\w-]{10,}$/, 'must have the form that @BotFather gives: digits, a colon, letters')
        .optional(),
    ),
    ALERT_WEBHOOK_URL: variable('https://example.com/alerts', secretWebUrl.optional()),
    TELEGRAM_API_URL: variable('https://api.telegram.org', webUrl.default('https://api.telegram.org')),
  }),
  sync: z.object({
    // Allegro's own limit per Client ID is 9000 a minute: more would only lead into its block.
    ALLEGRO_SYNC_RATE_LIMIT: wholeNumber({ from: 1, to: 9000, otherwise: 9000, unit: 'requests in 60 s' }),
    ALLEGRO_SYNC_BATCH_SIZE: wholeNumber({ from: 1, to: 100, otherwise: 100, unit: 'SKUs a request' }),
    ALLEGRO_SYNC_RETRY_COUNT: wholeNumber({ from: 0, to: 10, otherwise: 3, unit: 'retries' }),
    ALLEGRO_SYNC_RETRY_DELAY: wholeNumber({ from: 1, to: 300, otherwise: 30, unit: 'seconds' }),
    ALLEGRO_SYNC_SCHEDULE: wholeNumber({ from: 5, to: 86_400, otherwise: 1800, unit: 'seconds' }),
    UNBOOKED_SALE_PATIENCE: wholeNumber({ from: 0, to: 604_800, otherwise: 7200, unit: 'seconds' }),
    STOCK_MAX_AGE: wholeNumber({ from: 0, to: 31_536_000, otherwise: 0, unit: 'seconds; 0 is off' }),
    COMMAND_PATIENCE: wholeNumber({ from: 1, to: 86_400, otherwise: 900, unit: 'seconds' }),
    GUARD_MAX_ENDED: wholeNumber({ from: 0, to: 100, otherwise: 20, unit: 'percent' }),
    ALLEGRO_BULK_MODIFICATION: variable('off', z.enum(['on', 'off'], 'must be "on" or "off"').default('off')),
    HISTORY_RETENTION_DAYS: wholeNumber({ from: 1, to: 3650, otherwise: 90, unit: 'days' }),
  }),
  http: z.object({
    HTTP_HOST: variable(
      '127.0.0.1',
      z
        .string()
        .regex(/^[\w.:-]+$/, 'must be a host name or address')
        .default('127.0.0.1'),
    ),
    HTTP_PORT: wholeNumber({ from: 0, to: 65_535, otherwise: 9464, unit: 'port; 0 takes a free one' }),
  }),
  encryption: z.object({
    TOKEN_ENCRYPTION_KEY: variable('the output of: openssl rand -base64 32', required.transform(readEncryptionKey)),
    TOKEN_ENCRYPTION_KEY_PREVIOUS: variable(
      'what TOKEN_ENCRYPTION_KEY was before it was replaced',
      z.string().transform(readEncryptionKey).optional(),
    ),
  }),
  log: z.object({
    LOG_LEVEL: variable(
      'info',
      z.enum(['trace', 'debug', 'info', 'warn', 'error'], 'must be trace, debug, info, warn or error').default('info'),
    ),
  }),
} as const;

export type ConfigGroup = keyof typeof SCHEMAS;

export const CONFIG_GROUPS: readonly ConfigGroup[] = [
  'allegro',
  'database',
  'redis',
  'temporal',
  'notifications',
  'sync',
  'http',
  'encryption',
  'log',
];

/** Every variable that is read. */
export const VARIABLE_NAMES: readonly string[] = CONFIG_GROUPS.flatMap((group) => Object.keys(SCHEMAS[group].shape));

/** A value for the variable that would be accepted, or where to get one. */
export function exampleOf(group: ConfigGroup, variableName: string): string {
  const schema: unknown = Object.entries(SCHEMAS[group].shape).find(([name]) => name === variableName)?.[1];
  const examples = schema instanceof z.ZodType ? schema.meta()?.examples : undefined;
  return Array.isArray(examples) ? String(examples[0]) : '';
}
