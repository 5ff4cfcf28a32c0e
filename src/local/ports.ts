import { connect, createServer } from 'node:net';

const HOST = '127.0.0.1';

/** True when nothing listens on the port of this machine's loopback address. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that was free a moment ago. Whoever uses it must be ready to find it taken. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: HOST }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no TCP port was given'));
        else resolve(address.port);
      });
    });
  });
}

/** The usual port when it is wanted and free, else any free one. */
export async function choosePort(usual: number | undefined): Promise<number> {
  return usual !== undefined && (await isPortFree(usual)) ? usual : findFreePort();
}

const ATTEMPTS = 3;

/** A server has said that somebody else has its port: perhaps for a moment only, as the local end of a connection. */
export class PortTakenError extends Error {}

/**
 * Starts something on one port for each usual port, `undefined` meaning any. Another process may take a port between
 * the look and the start: then it is tried again on others, at most three times.
 */
export async function startOnFreePorts<T>(
  usualPorts: readonly (number | undefined)[],
  start: (ports: number[]) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const ports: number[] = [];
    for (const usual of usualPorts) ports.push(await choosePort(usual));
    try {
      return await start(ports);
    } catch (error) {
      const areFree = await Promise.all(ports.map(isPortFree));
      const isTaken = error instanceof PortTakenError || areFree.includes(false);
      if (attempt === ATTEMPTS || !isTaken) throw error;
    }
  }
}

/** Opens a connection and says whether somebody answered it. */
export function canConnect(host: string, port: number, timeoutMs = 2000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
