import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';

import { createAdmin } from './admin.js';
import type { Answer } from './answer.js';
import { PUBLIC_MEDIA_TYPE } from './answer.js';
import { Exchange } from './exchange.js';
import type { SettingsChange } from './settings.js';
import { changeSettings, FAST_SETTINGS } from './settings.js';
import type { Simulation } from './simulation.js';
import { createSimulation } from './simulation.js';

export interface SimulatorOptions {
  /** 0 (the default): any free port. */
  readonly port?: number;
  readonly host?: string;
  /** What differs from `FAST_SETTINGS`. */
  readonly settings?: SettingsChange;
}

/** A running simulator. */
export interface Simulator {
  /** Base of the API and of OAuth alike, without a slash at the end. */
  readonly url: string;
  readonly state: Simulation;
  stop(): Promise<void>;
}

/** Larger bodies are refused: the largest request, a command of 1000 offers, has 30 kB; seeds and truths come by the admin API. */
const MOST_BODY_BYTES = 256 * 1024 * 1024;

const SMALL_BODY = 16_384;

/** Starts a stand-in for Allegro on 127.0.0.1, with nothing in it. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { port = 0, host = '127.0.0.1' } = options;
  const state = createSimulation(changeSettings(FAST_SETTINGS, options.settings ?? {}));
  const exchange = new Exchange(state);
  const admin = createAdmin(state);
  let url = '';
  let traces = 0;

  const server = createServer((request, response) => {
    const target = request.url ?? '/';
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    const query = mark < 0 ? '' : target.slice(mark + 1);
    const isAdmin =
      path === '/' || path.startsWith('/_admin/') || path.startsWith('/skojarz-aplikacje') || path === '/favicon.ico';
    readBody(request, (body) => {
      if (isAdmin) {
        void admin({ method: request.method ?? 'GET', path, query, body }, response);
        return;
      }
      const isAuth = path.startsWith('/auth/');
      const host = request.headers.host;
      exchange.take(
        {
          method: request.method ?? 'GET',
          path,
          query,
          headers: request.headers,
          body,
          baseUrl: host === undefined ? url : `http://${host}`,
        },
        {
          isWaiting: () => !request.socket.destroyed,
          send: (answer) => send(response, answer, isAuth ? undefined : nextTrace()),
          sendHalf: (answer) => sendHalf(response, answer),
          cut: () => request.socket.destroy(),
        },
      );
    });
  });
  // Longer than any client keeps its sockets idle, so that none is closed under a request by ordinary housekeeping.
  server.keepAliveTimeout = 120_000;
  server.headersTimeout = 130_000;
  server.requestTimeout = 0;
  const nextTrace = (): string => {
    traces += 1;
    return traces.toString(16).padStart(16, '0');
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The simulator has no TCP port');
  url = `http://${host}:${address.port}`;
  return {
    url,
    state,
    stop: async () => {
      state.clock.clear();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function readBody(request: IncomingMessage, use: (body: string) => void): void {
  if (request.method === 'GET') {
    request.resume();
    use('');
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => use(Buffer.concat(chunks).toString()));
}

function headersOf(answer: Answer, trace: string | undefined, length: number): Record<string, string | number> {
  return {
    ...(length === 0 ? {} : { 'Content-Type': answer.contentType ?? PUBLIC_MEDIA_TYPE }),
    'Content-Length': length,
    ...(trace === undefined ? {} : { 'trace-id': trace }),
    ...answer.headers,
  };
}

function send(response: ServerResponse, answer: Answer, trace: string | undefined): void {
  // A small text goes out in one piece with its headers; a page is encoded once, not measured first and encoded after.
  const body = answer.body.length > SMALL_BODY ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status, headersOf(answer, trace, Buffer.byteLength(body)));
  response.end(body);
}

function sendHalf(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, headersOf(answer, undefined, Buffer.byteLength(answer.body)));
  response.write(answer.body.slice(0, answer.body.length / 2), () => response.destroy());
}
