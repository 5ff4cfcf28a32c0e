import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

import type { FaultKind, Part, Scene } from './fault.js';
import type { NetworkMood, TcpProxy } from './tcp-proxy.js';

/** Longer than the heartbeat time-out of 10 s, so that another worker takes the work over. */
const PAUSE_MS = { from: 11_500, to: 14_000 } as const;
const RESTART_AFTER_MS = { from: 200, to: 2_000 } as const;
const NETWORK_MS = { from: 2_000, to: 7_000 } as const;

const workerFaults: readonly FaultKind[] = [
  {
    name: 'worker: killed',
    part: 'worker',
    stopsWork: true,
    async deal({ workers }, random) {
      await workers.killOne(random.between(RESTART_AFTER_MS.from, RESTART_AFTER_MS.to));
      return 1;
    },
  },
  {
    name: 'worker: paused beyond its heartbeat',
    part: 'worker',
    stopsWork: true,
    async deal({ workers }, random) {
      const wake = workers.pauseOne();
      await sleep(random.between(PAUSE_MS.from, PAUSE_MS.to));
      wake();
      return 1;
    },
  },
];

const emptiedRedis: FaultKind = {
  name: 'redis: emptied',
  part: 'redis',
  stopsWork: true,
  async deal({ servers }) {
    const redis = new Redis(servers.redis.steadyAddress);
    redis.on('error', () => undefined);
    await redis.flushall();
    redis.disconnect();
    return 1;
  },
};

const SERVERS = ['redis', 'postgres', 'temporal'] as const;

const restarts: readonly FaultKind[] = SERVERS.map((part) => ({
  name: `${part}: restarted`,
  part,
  stopsWork: true,
  async deal({ servers }) {
    await servers[part].restart();
    return 1;
  },
}));

const MOODS: readonly { mood: NetworkMood; name: string }[] = [
  { mood: 'refuse', name: 'network refuses' },
  { mood: 'hang', name: 'network hangs' },
  { mood: 'cut', name: 'network cuts in mid-stream' },
];

const networkFaults: readonly FaultKind[] = ([...SERVERS, 'allegro'] as const).flatMap((part) =>
  MOODS.map(
    ({ mood, name }) =>
      ({
        name: `${part}: ${name}`,
        part,
        stopsWork: true,
        async deal(scene: Scene, random) {
          const network = networkTo(scene, part);
          await network.setMood(mood);
          await sleep(random.between(NETWORK_MS.from, NETWORK_MS.to));
          await network.setMood('pass');
          return 1;
        },
      }) satisfies FaultKind,
  ),
);

function networkTo(scene: Scene, part: Exclude<Part, 'worker' | 'stock' | 'telegram'>): TcpProxy {
  return part === 'allegro' ? scene.marketplaceNetwork : scene.servers[part].network;
}

/** Of workers, servers, and the network to each part. */
export const SERVER_FAULTS: readonly FaultKind[] = [...workerFaults, emptiedRedis, ...restarts, ...networkFaults];
