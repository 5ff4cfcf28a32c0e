import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

/** A place in a conversation at which it stands still. */
export interface WireHold {
  /** Whether it stands there now. */
  isReached(): boolean;
  /** Lets what was held, and everything after it, go on. */
  release(): void;
}

/** A TCP relay that can stop a conversation just before a request is passed on, or just before its answer is. */
export interface HoldingProxy {
  readonly port: number;
  forwardTo(target: { host: string; port: number }): void;
  /** Holds the first request from now on that matches, after `skip` others; `answer`: it arrives, its answer does not. */
  hold(what: { readonly request: RegExp; readonly at: 'request' | 'answer'; readonly skip?: number }): WireHold;
  stop(): Promise<void>;
}

interface ArmedHold {
  readonly request: RegExp;
  readonly at: 'request' | 'answer';
  toSkip: number;
  isReached: boolean;
  resume: () => void;
}

/** One direction of a connection: passes chunks on, or keeps them while it is held. */
class Lane {
  private readonly kept: Buffer[] = [];
  private isHeld = false;

  constructor(private readonly to: Socket) {}

  take(chunk: Buffer): void {
    if (this.isHeld) this.kept.push(chunk);
    else this.to.write(chunk);
  }

  hold(): void {
    this.isHeld = true;
  }

  resume(): void {
    this.isHeld = false;
    for (const chunk of this.kept.splice(0)) this.to.write(chunk);
  }
}

export async function startHoldingProxy(): Promise<HoldingProxy> {
  const sockets = new Set<Socket>();
  let target = { host: '127.0.0.1', port: 0 };
  let armed: ArmedHold[] = [];

  /** The hold that this request falls into; requests are told by the chunk they begin in. */
  function findHold(chunk: Buffer): ArmedHold | undefined {
    const text = chunk.toString('latin1');
    const found = armed.find(({ request }) => request.test(text));
    if (found === undefined) return undefined;
    if (found.toSkip > 0) {
      found.toSkip -= 1;
      return undefined;
    }
    armed = armed.filter((hold) => hold !== found);
    return found;
  }

  function relay(client: Socket): void {
    const upstream = createConnection(target);
    const out = new Lane(upstream);
    const back = new Lane(client);
    let answerOf: ArmedHold | undefined;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk) => {
      const hold = findHold(chunk);
      if (hold !== undefined) {
        const lane = hold.at === 'request' ? out : back;
        lane.hold();
        hold.resume = () => lane.resume();
        if (hold.at === 'request') hold.isReached = true;
        else answerOf = hold;
      }
      out.take(chunk);
    });
    upstream.on('data', (chunk) => {
      back.take(chunk);
      if (answerOf !== undefined) answerOf.isReached = true;
    });
  }

  const server = createServer(relay).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    forwardTo: (place) => (target = place),
    hold({ request, at, skip = 0 }) {
      const hold: ArmedHold = { request, at, toSkip: skip, isReached: false, resume: () => undefined };
      armed.push(hold);
      return {
        isReached: () => hold.isReached,
        release: () => {
          armed = armed.filter((other) => other !== hold);
          hold.resume();
        },
      };
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
