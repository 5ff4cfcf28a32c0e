import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';

/** What is to go wrong with requests that match. */
export interface ProxyFault {
  readonly route: RegExp;
  /** A status: an answer that repeats the whole request, secrets included. `hang`: no answer at all. */
  readonly answer: number | 'hang';
  times: number;
}

/** Stands between the application and the marketplace: hears every secret that goes by, and repeats requests loudly. */
export interface EchoingProxy {
  readonly url: string;
  /** Every token that went by, by a name. */
  readonly heard: ReadonlyMap<string, string>;
  forwardTo(url: string): void;
  plant(fault: ProxyFault): void;
  clear(): void;
  stop(): Promise<void>;
}

const tokenSchema = z.object({ access_token: z.string(), refresh_token: z.string() });

export async function startEchoingProxy(): Promise<EchoingProxy> {
  const heard = new Map<string, string>();
  let faults: ProxyFault[] = [];
  let target = '';
  const hear = (kind: string, token: string): void => {
    if (![...heard.values()].includes(token)) heard.set(`${kind} ${heard.size + 1}`, token);
  };

  async function play(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const { authorization } = request.headers;
    if (authorization?.startsWith('Bearer ') === true) hear('access token', authorization.slice('Bearer '.length));
    const given = new URLSearchParams(body).get('refresh_token');
    if (given !== null) hear('refresh token', given);
    const line = `${request.method ?? ''} ${request.url ?? ''}`;
    const fault = faults.find(({ route, times }) => times > 0 && route.test(line));
    if (fault !== undefined) {
      fault.times -= 1;
      if (fault.answer !== 'hang') echo(response, fault.answer, `${line} ${JSON.stringify(request.headers)} ${body}`);
      return;
    }
    await forward(request, body, response);
  }

  async function forward(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers;
    const answer = await fetch(`${target}${request.url ?? ''}`, {
      method: request.method ?? 'GET',
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      ...(body === '' ? {} : { body }),
      redirect: 'manual',
    });
    const text = await answer.text();
    const tokens = tokenSchema.safeParse(jsonOf(text));
    if (tokens.success) {
      hear('access token', tokens.data.access_token);
      hear('refresh token', tokens.data.refresh_token);
    }
    const {
      'content-encoding': _encoding,
      'transfer-encoding': _transfer,
      ...rest
    } = Object.fromEntries(answer.headers);
    response.writeHead(answer.status, { ...rest, 'content-length': Buffer.byteLength(text) }).end(text);
  }

  const server = createServer((request, response) => {
    play(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    heard,
    forwardTo: (url) => (target = url),
    plant: (fault) => faults.push(fault),
    clear: () => (faults = []),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** In every field that Allegro's errors and OAuth's errors have. */
function echo(response: ServerResponse, status: number, request: string): void {
  const error = { code: 'Echo', message: request, details: request, path: request, userMessage: request };
  const body = { errors: [error], error: 'invalid_request', error_description: request };
  const headers = { 'content-type': 'application/json', 'trace-id': request.slice(0, 100).replace(/[^\w-]/g, '-') };
  response.writeHead(status, headers).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(z.instanceof(Uint8Array).parse(chunk)));
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
