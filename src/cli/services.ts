import type { Client, Connection } from '@temporalio/client';
import type { Allegro } from '../allegro/marketplace.js';
import type { Config } from '../config.js';
import type { Notifier } from '../notifications/notifier.js';
import type { RateLimiter } from '../rate-limit/limiter.js';
import type { Db } from '../storage/database.js';

/** A group of settings that a command uses; checked before anything is connected. */
export type Need = keyof Config;

/** Temporal, with what a person needs to know of where it is. */
export interface TemporalService {
  readonly client: Client;
  readonly connection: Connection;
  readonly address: string;
  readonly namespace: string;
}

/**
 * What commands work with. Each part is connected when it is first asked for, and only then; each throws CommandFailed
 * when it cannot be reached.
 */
export interface Services {
  /** The settings of one group; the command must have named it among its needs. */
  config<Group extends Need>(group: Group): Config[Group];
  /** Needs `database`. @throws CommandFailed also when it is not migrated */
  database(): Promise<Db>;
  /** Needs `temporal`. */
  temporal(): Promise<TemporalService>;
  /** Needs `redis` and `allegro`. */
  limiter(): Promise<RateLimiter>;
  /** Needs `notifications`; null: no chat is configured. */
  notifier(): Notifier | null;
  /** Needs `allegro`, `database`, `encryption`, `redis` and `sync`. */
  allegro(): Promise<Allegro>;
}

export interface ClosableServices extends Services {
  close(): Promise<void>;
}
