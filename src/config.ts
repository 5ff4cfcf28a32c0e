import { loadClientConnectConfig } from '@temporalio/envconfig';
import { CONFIG_GROUPS, exampleOf, SCHEMAS, type ConfigGroup } from './config-variables.js';

/** The environment as a process sees it; an empty value counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface AllegroConfig {
  readonly environment: 'production' | 'sandbox' | 'other';
  /** Without a slash at the end. */
  readonly apiUrl: string;
  readonly authUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly userAgent: string;
}

export interface TemporalConfig {
  /** host:port, for messages to a person. */
  readonly address: string;
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect` alike. */
  readonly connectionOptions: TemporalConnectionOptions;
}

type LoadedConnectionOptions = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

export interface TemporalConnectionOptions {
  readonly address: string;
  readonly tls?: NonNullable<LoadedConnectionOptions['tls']>;
  readonly apiKey?: string;
  readonly metadata?: NonNullable<LoadedConnectionOptions['metadata']>;
}

export interface TelegramConfig {
  readonly apiUrl: string;
  readonly botToken: string;
  readonly chatId: string;
}

export interface NotificationsConfig {
  /** At most one of the two is set; with neither, alerts go to the log only. */
  readonly telegram: TelegramConfig | null;
  /** Holds a secret, like those of chat services. */
  readonly webhookUrl: string | null;
}

export interface SyncConfig {
  /** Requests in any 60 s, per Client ID, over all processes. */
  readonly rateLimit: number;
  /** SKUs per read by external id, 1–100. */
  readonly batchSize: number;
  readonly retryCount: number;
  readonly retryDelaySeconds: number;
  readonly scheduleSeconds: number;
  readonly unbookedSalePatienceSeconds: number;
  /** Age from which a stock row raises nothing; null: off. */
  readonly stockMaxAgeSeconds: number | null;
  readonly commandPatienceSeconds: number;
  /** Percent of the active offers of the last complete scan. */
  readonly guardMaxEndedPercent: number;
  readonly bulkModification: boolean;
  readonly historyRetentionDays: number;
}

export interface EncryptionConfig {
  /** AES-256: 32 bytes. */
  readonly key: Buffer;
  /** Keys that are still read while a rotation goes on. */
  readonly previousKeys: readonly Buffer[];
}

export interface Config {
  readonly allegro: AllegroConfig;
  readonly database: { readonly url: string };
  readonly redis: { readonly url: string };
  readonly temporal: TemporalConfig;
  readonly notifications: NotificationsConfig;
  readonly sync: SyncConfig;
  readonly http: { readonly host: string; readonly port: number };
  readonly encryption: EncryptionConfig;
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' };
}

export interface ConfigurationProblem {
  readonly variable: string;
  /** Reads on after the variable's name: "is missing". Never holds the value of a secret. */
  readonly problem: string;
  readonly example: string;
}

/** The environment cannot be used. The process ends with exit status 2 before it connects to anything. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  constructor(readonly problems: readonly ConfigurationProblem[]) {
    const lines = problems.map((one) => `  ${one.variable} ${one.problem}\n    example: ${one.example}`);
    super(`The configuration has ${problems.length === 1 ? 'a problem' : 'problems'}:\n${lines.join('\n')}`);
  }
}

/**
 * Reads and checks the settings of these groups; a command asks only for what it uses.
 * @throws ConfigurationError with every problem found, before anything is connected to
 */
export function readConfig<Group extends ConfigGroup>(env: Environment, groups: readonly Group[]): Pick<Config, Group>;
export function readConfig(env: Environment): Config;
export function readConfig(env: Environment, groups: readonly ConfigGroup[] = CONFIG_GROUPS): Partial<Config> {
  const values = withoutEmpty(env);
  const problems = [...new Set(groups)].flatMap((group) => [
    ...schemaProblems(group, values),
    ...contradictions(group, values),
  ]);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return groups.reduce<Partial<Config>>((config, group) => ({ ...config, ...READERS[group](values) }), {});
}

/** Every secret in the environment, for the log's scrubber: also in the forms in which libraries send them. */
export function configuredSecrets(env: Environment): string[] {
  const values = withoutEmpty(env);
  const plain = [
    values.ALLEGRO_CLIENT_SECRET,
    values.TELEGRAM_BOT_TOKEN,
    values.TOKEN_ENCRYPTION_KEY,
    values.TOKEN_ENCRYPTION_KEY_PREVIOUS,
    values.TEMPORAL_API_KEY,
    values.TEMPORAL_TLS_CLIENT_KEY_DATA,
    values.TEMPORAL_GRPC_META_AUTHORIZATION,
    values.ALERT_WEBHOOK_URL,
    passwordOf(values.DATABASE_URL),
    passwordOf(values.REDIS_URL),
  ].filter((secret) => secret !== undefined);
  const { ALLEGRO_CLIENT_ID: clientId, ALLEGRO_CLIENT_SECRET: clientSecret } = values;
  const basic =
    clientId === undefined || clientSecret === undefined
      ? []
      : [Buffer.from(`${clientId}:${clientSecret}`).toString('base64')];
  return [...plain, ...basic];
}

type Values = Readonly<Record<string, string>>;

function withoutEmpty(env: Environment): Values {
  const entries = Object.entries(env).flatMap(([name, value]) => {
    const trimmed = value?.trim() ?? '';
    return trimmed === '' ? [] : [[name, trimmed] as const];
  });
  return Object.fromEntries(entries);
}

function passwordOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { password } = new URL(url);
  if (password === '') return undefined;
  // A stray "%" in a password is taken as it stands, as the drivers do.
  return /%(?![0-9a-f]{2})/i.test(password) ? password : decodeURIComponent(password);
}

function problem(group: ConfigGroup, variable: string, text: string): ConfigurationProblem {
  return { variable, problem: text, example: `${variable}=${exampleOf(group, variable)}` };
}

function schemaProblems(group: ConfigGroup, values: Values): ConfigurationProblem[] {
  const issues = SCHEMAS[group].safeParse(values).error?.issues ?? [];
  // The first of each variable: the others usually say the same in other words.
  const byName = new Map(issues.toReversed().map((issue) => [String(issue.path[0]), issue.message]));
  return [...byName].toReversed().map(([name, message]) => problem(group, name, message));
}

/** What no single variable shows: settings that do not go together. */
function contradictions(group: ConfigGroup, values: Values): ConfigurationProblem[] {
  if (group === 'allegro') return allegroContradictions(values);
  if (group === 'notifications') return notificationContradictions(values);
  if (group === 'temporal') return temporalContradictions(values);
  if (group === 'encryption') return encryptionContradictions(values);
  return [];
}

type AllegroEnvironment = AllegroConfig['environment'];

const ALLEGRO_URLS = {
  production: { apiUrl: 'https://api.allegro.pl', authUrl: 'https://allegro.pl' },
  sandbox: { apiUrl: 'https://api.allegro.pl.allegrosandbox.pl', authUrl: 'https://allegro.pl.allegrosandbox.pl' },
} as const;

function environmentOf(url: string): AllegroEnvironment {
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  if (/(^|\.)allegrosandbox\.pl$/.test(host)) return 'sandbox';
  return /(^|\.)allegro\.pl$/.test(host) ? 'production' : 'other';
}

function allegroUrls(values: Values): { apiUrl: string; authUrl: string } {
  const defaults = ALLEGRO_URLS[values.ALLEGRO_ENVIRONMENT === 'sandbox' ? 'sandbox' : 'production'];
  return {
    apiUrl: (values.ALLEGRO_API_URL ?? defaults.apiUrl).replace(/\/+$/, ''),
    authUrl: (values.ALLEGRO_AUTH_URL ?? defaults.authUrl).replace(/\/+$/, ''),
  };
}

function allegroContradictions(values: Values): ConfigurationProblem[] {
  const stated = SCHEMAS.allegro.shape.ALLEGRO_ENVIRONMENT.safeParse(values.ALLEGRO_ENVIRONMENT).data;
  const urls = allegroUrls(values);
  const mismatches = (['ALLEGRO_API_URL', 'ALLEGRO_AUTH_URL'] as const).flatMap((name) => {
    const url = name === 'ALLEGRO_API_URL' ? urls.apiUrl : urls.authUrl;
    if (stated === undefined || environmentOf(url) === stated) return [];
    return [
      problem('allegro', name, `contradicts ALLEGRO_ENVIRONMENT=${stated}, which sets it: leave one of them out`),
    ];
  });
  if (mismatches.length > 0 || environmentOf(urls.apiUrl) === environmentOf(urls.authUrl)) return mismatches;
  // Tokens of one environment are garbage in another, and would be shown to a stranger.
  const missing = values.ALLEGRO_AUTH_URL === undefined ? 'ALLEGRO_AUTH_URL' : 'ALLEGRO_API_URL';
  return [
    problem('allegro', missing, 'belongs to another environment than the other of the two: set both, or neither'),
  ];
}

function notificationContradictions(values: Values): ConfigurationProblem[] {
  const chatId = values.ALLEGRO_ERROR_NOTIFICATION_CHAT_ID;
  if (chatId === undefined && values.NOTIFY_GROUP_ID !== undefined) {
    const text = 'is missing: NOTIFY_GROUP_ID is set, but this name is read now; rename it';
    return [problem('notifications', 'ALLEGRO_ERROR_NOTIFICATION_CHAT_ID', text)];
  }
  if (chatId !== undefined && values.TELEGRAM_BOT_TOKEN === undefined) {
    const text = 'is missing: ALLEGRO_ERROR_NOTIFICATION_CHAT_ID is set, and only a bot can write to it';
    return [problem('notifications', 'TELEGRAM_BOT_TOKEN', text)];
  }
  if (chatId !== undefined && values.ALERT_WEBHOOK_URL !== undefined) {
    const text =
      'is set together with ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: alerts go to one place, leave one of them out';
    return [problem('notifications', 'ALERT_WEBHOOK_URL', text)];
  }
  return [];
}

function encryptionContradictions(values: Values): ConfigurationProblem[] {
  const { TOKEN_ENCRYPTION_KEY: key, TOKEN_ENCRYPTION_KEY_PREVIOUS: previous } = values;
  if (previous === undefined || previous !== key) return [];
  const text = 'is the same as TOKEN_ENCRYPTION_KEY: it is the key before that one, leave it out if there was none';
  return [problem('encryption', 'TOKEN_ENCRYPTION_KEY_PREVIOUS', text)];
}

function temporalContradictions(values: Values): ConfigurationProblem[] {
  const { TEMPORAL_TLS: tls, TEMPORAL_API_KEY: apiKey } = values;
  const certificate = values.TEMPORAL_TLS_CLIENT_CERT_PATH ?? values.TEMPORAL_TLS_CLIENT_CERT_DATA;
  const key = values.TEMPORAL_TLS_CLIENT_KEY_PATH ?? values.TEMPORAL_TLS_CLIENT_KEY_DATA;
  const problems: ConfigurationProblem[] = [];
  if (apiKey !== undefined && (tls === 'false' || tls === '0')) {
    problems.push(problem('temporal', 'TEMPORAL_TLS', 'is off, but TEMPORAL_API_KEY must travel encrypted'));
  }
  if ((certificate === undefined) !== (key === undefined)) {
    const missing = key === undefined ? 'TEMPORAL_TLS_CLIENT_KEY_PATH' : 'TEMPORAL_TLS_CLIENT_CERT_PATH';
    problems.push(
      problem('temporal', missing, 'is missing: a client certificate needs its key, and a key its certificate'),
    );
  }
  if (problems.length === 0 && SCHEMAS.temporal.safeParse(values).success) {
    const failure = temporalLoaderFailure(values);
    if (failure !== null) problems.push(failure);
  }
  return problems;
}

/** Temporal's loader also reads its configuration file and the certificate files. */
function temporalLoaderFailure(values: Values): ConfigurationProblem | null {
  try {
    loadClientConnectConfig({ overrideEnvVars: { ...values } });
    return null;
  } catch (error) {
    const path = typeof error === 'object' && error !== null && 'path' in error ? error.path : null;
    const named = Object.entries(values).find(([name, value]) => name.startsWith('TEMPORAL_') && value === path)?.[0];
    if (named !== undefined) return problem('temporal', named, 'names a file that cannot be read');
    const text = 'or TEMPORAL_PROFILE, or the default configuration file, cannot be used as Temporal configuration';
    return {
      variable: 'TEMPORAL_CONFIG_FILE',
      problem: text,
      example: 'TEMPORAL_CONFIG_FILE=/etc/temporal/temporal.toml',
    };
  }
}

function readTemporal(values: Values): TemporalConfig {
  const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: { ...values } });
  const { address = 'localhost:7233', tls, apiKey, metadata } = connectionOptions;
  return {
    address,
    namespace: namespace ?? 'default',
    connectionOptions: {
      address,
      ...(tls === undefined || tls === null ? {} : { tls }),
      ...(typeof apiKey === 'string' ? { apiKey } : {}),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

function readAllegro(values: Values): AllegroConfig {
  const read = SCHEMAS.allegro.parse(values);
  const urls = allegroUrls(values);
  return {
    ...urls,
    environment: environmentOf(urls.apiUrl),
    clientId: read.ALLEGRO_CLIENT_ID,
    clientSecret: read.ALLEGRO_CLIENT_SECRET,
    userAgent: read.ALLEGRO_USER_AGENT,
  };
}

function readNotifications(values: Values): NotificationsConfig {
  const read = SCHEMAS.notifications.parse(values);
  const chatId = read.ALLEGRO_ERROR_NOTIFICATION_CHAT_ID;
  const botToken = read.TELEGRAM_BOT_TOKEN;
  const isTelegram = chatId !== undefined && botToken !== undefined;
  return {
    telegram: isTelegram ? { apiUrl: read.TELEGRAM_API_URL, botToken, chatId } : null,
    webhookUrl: read.ALERT_WEBHOOK_URL ?? null,
  };
}

function readSync(values: Values): SyncConfig {
  const read = SCHEMAS.sync.parse(values);
  return {
    rateLimit: read.ALLEGRO_SYNC_RATE_LIMIT,
    batchSize: read.ALLEGRO_SYNC_BATCH_SIZE,
    retryCount: read.ALLEGRO_SYNC_RETRY_COUNT,
    retryDelaySeconds: read.ALLEGRO_SYNC_RETRY_DELAY,
    scheduleSeconds: read.ALLEGRO_SYNC_SCHEDULE,
    unbookedSalePatienceSeconds: read.UNBOOKED_SALE_PATIENCE,
    stockMaxAgeSeconds: read.STOCK_MAX_AGE === 0 ? null : read.STOCK_MAX_AGE,
    commandPatienceSeconds: read.COMMAND_PATIENCE,
    guardMaxEndedPercent: read.GUARD_MAX_ENDED,
    bulkModification: read.ALLEGRO_BULK_MODIFICATION === 'on',
    historyRetentionDays: read.HISTORY_RETENTION_DAYS,
  };
}

function readEncryption(values: Values): EncryptionConfig {
  const read = SCHEMAS.encryption.parse(values);
  const previous = read.TOKEN_ENCRYPTION_KEY_PREVIOUS;
  return { key: read.TOKEN_ENCRYPTION_KEY, previousKeys: previous === undefined ? [] : [previous] };
}

function readHttp(values: Values): Config['http'] {
  const read = SCHEMAS.http.parse(values);
  return { host: read.HTTP_HOST, port: read.HTTP_PORT };
}

/** Each gives its own part of the configuration, so that the parts can be put together one by one. */
const READERS: { readonly [Group in ConfigGroup]: (values: Values) => Pick<Config, Group> } = {
  allegro: (values) => ({ allegro: readAllegro(values) }),
  database: (values) => ({ database: { url: SCHEMAS.database.parse(values).DATABASE_URL } }),
  redis: (values) => ({ redis: { url: SCHEMAS.redis.parse(values).REDIS_URL } }),
  temporal: (values) => ({ temporal: readTemporal(values) }),
  notifications: (values) => ({ notifications: readNotifications(values) }),
  sync: (values) => ({ sync: readSync(values) }),
  http: (values) => ({ http: readHttp(values) }),
  encryption: (values) => ({ encryption: readEncryption(values) }),
  log: (values) => ({ log: { level: SCHEMAS.log.parse(values).LOG_LEVEL } }),
};
