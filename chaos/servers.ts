import { chmod } from 'node:fs/promises';

import { systemWithoutOurVariables } from '../src/local/application.js';
import { startProcessRecord } from '../src/local/process-record.js';
import type { RunningServer, ServerPlace } from '../src/local/running-server.js';
import { startPostgres } from '../src/local/start-postgres.js';
import { startRedis } from '../src/local/start-redis.js';
import { startTemporal } from '../src/local/start-temporal.js';
import type { Print } from '../src/local/system.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** A server whose data outlive it, reached by the workers over a network that can fail, and by us over one that does not. */
export interface ChaosServer {
  /** Of the workers. */
  readonly network: TcpProxy;
  /** As it was given by the server, with the port of the workers' network. */
  readonly address: string;
  /** The same with our own network, which stays well. */
  readonly steadyAddress: string;
  /** Stops it and starts it again on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface ChaosServers {
  readonly temporal: ChaosServer;
  readonly postgres: ChaosServer;
  readonly redis: ChaosServer;
  readonly temporalNamespace: string;
  stop(): Promise<void>;
}

/** @param directory where data and logs go */
export async function startServers(directory: string, print: Print): Promise<ChaosServers> {
  // PostgreSQL runs as another user when we are root, and must be able to enter.
  await chmod(directory, 0o711);
  const system = systemWithoutOurVariables();
  const place: ServerPlace = { directory, isKept: true, prefersUsualPorts: false };
  const use = { record: startProcessRecord(directory), print: (): void => undefined };
  const started: ChaosServer[] = [];
  const stop = async (): Promise<void> => {
    for (const server of started.splice(0)) await server.stop();
  };
  try {
    const [temporal, postgres, redis] = await Promise.all([
      startServer(started, async () => {
        const server = await startTemporal(system, place, use);
        return { server, address: server.addresses.temporalAddress };
      }),
      startServer(started, async () => {
        const server = await startPostgres(system, place, use);
        return { server, address: server.addresses.databaseUrl };
      }),
      startServer(started, async () => {
        const server = await startRedis(system, place, use);
        return { server, address: server.addresses.redisUrl };
      }),
    ]);
    print('Temporal, PostgreSQL and Redis are ready, each behind a network that can fail');
    return { temporal, postgres, redis, temporalNamespace: 'default', stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Start = () => Promise<{ server: RunningServer<unknown>; address: string }>;

async function startServer(started: ChaosServer[], start: Start): Promise<ChaosServer> {
  let running = await start();
  const targetPort = portOf(running.address);
  const [network, steady] = await Promise.all([startTcpProxy({ targetPort }), startTcpProxy({ targetPort })]);
  const server: ChaosServer = {
    network,
    address: withPort(running.address, network.port),
    steadyAddress: withPort(running.address, steady.port),
    async restart() {
      await running.server.stop();
      running = await start();
      for (const proxy of [network, steady]) proxy.forwardTo(portOf(running.address));
    },
    async stop() {
      await Promise.all([network.stop(), steady.stop()]);
      await running.server.stop();
    },
  };
  started.push(server);
  return server;
}

const PORT = /127\.0\.0\.1:(\d+)/;

function portOf(address: string): number {
  const port = PORT.exec(address)?.[1];
  if (port === undefined) throw new Error('the address of a server has no port');
  return Number(port);
}

function withPort(address: string, port: number): string {
  return address.replace(PORT, `127.0.0.1:${port}`);
}
