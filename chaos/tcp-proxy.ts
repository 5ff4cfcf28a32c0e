import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

const HOST = '127.0.0.1';

/**
 * What becomes of the traffic. `refuse`: connections break, new ones are refused. `hang`: connections stay and are
 * taken, and nothing goes through until later. `cut`: each connection breaks in the middle of what it carries.
 */
export type NetworkMood = 'pass' | 'refuse' | 'hang' | 'cut';

export interface TcpProxy {
  readonly port: number;
  /** Where connections go from now on. */
  forwardTo(port: number): void;
  setMood(mood: NetworkMood): Promise<void>;
  stop(): Promise<void>;
}

export interface TcpProxyOptions {
  readonly targetPort: number;
  /** Hears everything that goes by, in pieces. */
  readonly onData?: (data: Buffer) => void;
}

interface Pair {
  readonly client: Socket;
  /** null: the connection was taken while nothing goes through. */
  upstream: Socket | null;
}

/** The network to one part, on this machine's loopback address. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let { targetPort } = options;
  let mood: NetworkMood = 'pass';

  function take(client: Socket): void {
    const pair: Pair = { client, upstream: null };
    pairs.add(pair);
    client.setNoDelay(true);
    client.on('error', () => undefined);
    client.on('close', () => end(pair));
    client.pause();
    if (mood !== 'hang') join(pair);
  }

  function join(pair: Pair): void {
    const { client } = pair;
    const upstream = connect({ host: HOST, port: targetPort });
    pair.upstream = upstream;
    upstream.setNoDelay(true);
    upstream.on('error', () => undefined);
    upstream.on('close', () => end(pair));
    relay(pair, client, upstream);
    relay(pair, upstream, client);
    client.resume();
  }

  function relay(pair: Pair, from: Socket, to: Socket): void {
    from.on('data', (data: Buffer) => {
      options.onData?.(data);
      if (mood === 'cut') {
        to.write(data.subarray(0, Math.floor(data.length / 2)), () => end(pair));
        return;
      }
      if (!to.write(data) && mood !== 'hang') {
        from.pause();
        to.once('drain', () => {
          if (mood !== 'hang') from.resume();
        });
      }
    });
    from.on('end', () => to.end());
  }

  function end(pair: Pair): void {
    pairs.delete(pair);
    pair.client.destroy();
    pair.upstream?.destroy();
  }

  function resumeAll(): void {
    for (const pair of pairs) {
      if (pair.upstream === null) {
        join(pair);
        continue;
      }
      pair.client.resume();
      pair.upstream.resume();
    }
  }

  let server = await listen(take, 0);
  const port = portOf(server);

  async function close(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    for (const pair of [...pairs]) end(pair);
    await closed;
  }

  return {
    port,
    forwardTo(next) {
      targetPort = next;
    },
    async setMood(next) {
      const wasRefusing = mood === 'refuse';
      mood = next;
      if (next === 'refuse' && !wasRefusing) await close();
      if (next !== 'refuse' && wasRefusing) server = await listen(take, port);
      if (next === 'hang') {
        for (const { client, upstream } of pairs) {
          client.pause();
          upstream?.pause();
        }
      } else resumeAll();
    },
    async stop() {
      if (mood !== 'refuse') await close();
    },
  };
}

async function listen(onConnection: (socket: Socket) => void, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onConnection).listen(port, HOST);
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return address.port;
}
