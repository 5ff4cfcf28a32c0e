import type pg from 'pg';

import type { Application } from '../src/local/application.js';
import type { TelegramStandIn } from '../src/local/telegram-stand-in.js';
import type { Edits } from './edits.js';
import type { Random } from './random.js';
import type { ChaosServers } from './servers.js';
import type { TcpProxy } from './tcp-proxy.js';
import type { Warehouse } from './warehouse.js';
import type { Workers } from './workers.js';

export const PARTS = ['worker', 'redis', 'postgres', 'temporal', 'allegro', 'stock', 'telegram'] as const;
export type Part = (typeof PARTS)[number];

/** A fault that has to be met stays until it is, but not for ever: there may be nothing left to do. */
export const MET_WITHIN_MS = 60_000;

/** Everything that can be made to fail. */
export interface Scene {
  readonly application: Application;
  readonly servers: ChaosServers;
  readonly workers: Workers;
  /** Between workers and marketplace. */
  readonly marketplaceNetwork: TcpProxy;
  readonly telegram: TelegramStandIn;
  readonly warehouse: Warehouse;
  readonly edits: Edits;
  /** Over a network that stays well. */
  readonly database: pg.Pool;
  /** Where files may be put. */
  readonly directory: string;
}

/** One way in which a part fails. */
export interface FaultKind {
  /** "redis: emptied". */
  readonly name: string;
  readonly part: Part;
  /** Between work that goes on: alone or with one of another part, and then everything must go on. */
  readonly stopsWork: boolean;
  /** Only where this is asked for at all: `GET /order/events`. */
  readonly ifAsked?: string;
  /** Makes it fail and resolves when it is well again. @returns how often something met the fault */
  deal(scene: Scene, random: Random): Promise<number>;
}

/** A fault as it was dealt; times in ms since 1970. */
export interface DealtFault {
  readonly name: string;
  readonly part: Part;
  readonly from: number;
  readonly until: number;
  readonly hits: number;
}
