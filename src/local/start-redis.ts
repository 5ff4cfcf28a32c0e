import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import { canConnect, startOnFreePorts } from './ports.js';
import type { ProcessRecord } from './process-record.js';
import { findRedisServer } from './redis-program.js';
import type { RunningServer, ServerPlace } from './running-server.js';
import { startServerProcess } from './server-process.js';
import { readVariable, SetUpError, type Print, type System } from './system.js';

const USUAL_PORT = 6379;

export type RunningRedis = RunningServer<{ redisUrl: string }>;

/** `+PONG` comes only when the append-only file has been read in; before, the answer is `-LOADING`. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (isReady: boolean): void => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (answer) => end(answer.toString('latin1').startsWith('+PONG')));
  });
}

async function useRedisOf(url: string, print: Print): Promise<RunningRedis> {
  if (!URL.canParse(url)) throw new SetUpError('REDIS_URL is not an address such as redis://127.0.0.1:6379.');
  const { hostname, port } = new URL(url);
  const address = `${hostname}:${port || USUAL_PORT}`;
  if (!(await canConnect(hostname, Number(port || USUAL_PORT)))) {
    throw new SetUpError(
      `REDIS_URL names ${address}, where nothing answers. Start that Redis, or unset REDIS_URL to have one started here.`,
    );
  }
  print(`Redis: ${address} (REDIS_URL; used as it is, not stopped)`);
  return { addresses: { redisUrl: url }, stop: () => Promise.resolve() };
}

/** Redis as the limiter needs it: it never evicts keys. With data that is kept, it writes an append-only file. */
export async function startRedis(
  system: System,
  place: ServerPlace,
  { record, print }: { record: ProcessRecord; print: Print },
): Promise<RunningRedis> {
  const external = readVariable(system, 'REDIS_URL');
  if (external !== undefined) return useRedisOf(external, print);

  const program = await findRedisServer(system, print);
  const directory = join(place.directory, 'redis');
  await mkdir(directory, { recursive: true });
  return startOnFreePorts([place.prefersUsualPorts ? USUAL_PORT : undefined], async ([port = USUAL_PORT]) => {
    const server = await startServerProcess({
      system,
      record,
      print,
      name: 'Redis',
      program,
      args: [
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--daemonize', 'no'],
        ...['--maxmemory-policy', 'noeviction', '--save', '', '--appendonly', place.isKept ? 'yes' : 'no'],
      ],
      logFile: join(place.directory, 'redis.log'),
      stopSignal: 'SIGTERM',
    });
    await server.waitUntilReady(() => answersPing(port));
    print(`Redis: ready on 127.0.0.1:${port}`);
    return { addresses: { redisUrl: `redis://127.0.0.1:${port}` }, stop: () => server.stop() };
  });
}
