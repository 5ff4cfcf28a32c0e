import { createAllegro } from './allegro/marketplace.js';
import { connectDatabase, connectRedis, connectTemporal } from './cli/connections.js';
import type { ClosableServices, Need } from './cli/services.js';
import { readConfig, type Config, type Environment } from './config.js';
import { createConfiguredNotifier } from './notifications/configured-notifier.js';
import { createRateLimiter, type RateLimiter } from './rate-limit/limiter.js';
import { createEncryption } from './storage/encryption.js';
import { readStopSwitch } from './storage/stop-switch.js';
import { createTokenStore } from './storage/token-store.js';

/** Keeps what is made on first use, and closes it at the end. */
function once<Part>(make: () => Promise<Part>, end: (part: Part) => unknown) {
  let made: Promise<Part> | undefined;
  return {
    get: () => (made ??= make()),
    close: async () => {
      if (made !== undefined) await made.then(end);
    },
  };
}

/**
 * What commands work with, made of the real parts. With `client.ts`, the only place that knows them.
 * @throws ConfigurationError before anything is connected
 */
export function createServices(env: Environment, needs: readonly Need[]): ClosableServices {
  const config: Partial<Config> = readConfig(env, needs);
  function settings<Group extends Need>(group: Group): Config[Group] {
    const found: Config[Group] | undefined = config[group];
    if (found === undefined) throw new Error(`a command uses the settings "${group}" and does not name them as a need`);
    return found;
  }

  const database = once(
    () => connectDatabase(settings('database').url),
    (db) => db.destroy(),
  );
  const temporal = once(
    () => connectTemporal(settings('temporal')),
    ({ connection }) => connection.close(),
  );
  const redis = once(
    () => connectRedis(settings('redis').url),
    (connection) => connection.disconnect(),
  );
  const limiter = once(
    async (): Promise<RateLimiter> =>
      createRateLimiter({ redis: await redis.get(), clientId: settings('allegro').clientId }),
    (opened) => opened.close(),
  );
  const allegro = once(
    async () => {
      const db = await database.get();
      return createAllegro({
        ...settings('allegro'),
        requestsPerMinute: settings('sync').rateLimit,
        limiter: await limiter.get(),
        // A person waits for a permit in place; there is no workflow that could come back later.
        maxInlineWaitMs: 60_000,
        tokenStore: createTokenStore({
          db,
          databaseUrl: settings('database').url,
          encryption: createEncryption(settings('encryption').key, settings('encryption').previousKeys),
        }),
        stopSwitch: { isStopped: async () => (await readStopSwitch(db)).isStopped },
      });
    },
    (opened) => opened.close(),
  );
  return {
    config: settings,
    database: database.get,
    temporal: temporal.get,
    limiter: limiter.get,
    allegro: allegro.get,
    notifier: () => createConfiguredNotifier(settings('notifications')),
    close: async () => {
      // Each before what it rests on.
      await Promise.allSettled([allegro.close()]);
      await Promise.allSettled([limiter.close()]);
      await Promise.allSettled([redis.close(), temporal.close(), database.close()]);
    },
  };
}
