import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:net';

import { choosePort, findFreePort, isPortFree, PortTakenError, startOnFreePorts } from '../../../src/local/ports.js';

const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

function listenOn(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    servers.push(server);
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1' }, resolve);
  });
}

describe('the usual port', () => {
  it('is taken when it is free', async () => {
    const usual = await findFreePort();
    await expect(choosePort(usual)).resolves.toBe(usual);
  });

  it('is left to whoever has it, for a free one', async () => {
    const usual = await findFreePort();
    await listenOn(usual);
    const chosen = await choosePort(usual);
    expect(chosen).not.toBe(usual);
    await expect(isPortFree(chosen)).resolves.toBe(true);
  });
});

describe('a start on free ports', () => {
  it('is tried again elsewhere when somebody takes the port in between', async () => {
    const tried: number[] = [];
    const result = await startOnFreePorts([undefined], async ([port = 0]) => {
      tried.push(port);
      if (tried.length === 1) {
        await listenOn(port);
        throw new Error('address in use');
      }
      return port;
    });
    expect(tried).toHaveLength(2);
    expect(result).toBe(tried[1]);
  });

  it('is tried again when the server says that its port is taken, though it is free again by now', async () => {
    let tries = 0;
    const start = (): Promise<string> => {
      tries += 1;
      return tries === 1 ? Promise.reject(new PortTakenError('address already in use')) : Promise.resolve('started');
    };
    await expect(startOnFreePorts([undefined], start)).resolves.toBe('started');
  });

  it('fails at once when its port is not the reason', async () => {
    let tries = 0;
    const start = (): Promise<never> => {
      tries += 1;
      return Promise.reject(new Error('no such library'));
    };
    await expect(startOnFreePorts([undefined, undefined], start)).rejects.toThrow('no such library');
    expect(tries).toBe(1);
  });

  it('fails after three ports were taken away', async () => {
    let tries = 0;
    const start = async (ports: number[]): Promise<never> => {
      tries += 1;
      await listenOn(ports[0] ?? 0);
      throw new Error('address in use');
    };
    await expect(startOnFreePorts([undefined], start)).rejects.toThrow('address in use');
    expect(tries).toBe(3);
  });
});
