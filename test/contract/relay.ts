import { once } from 'node:events';
import { createServer, request as sendRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

/** What went through a relay. */
export interface Passage {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** As the relay received them. */
  readonly answerHeaders: IncomingHttpHeaders;
}

export interface RelayOptions {
  /** Where requests go; asked for each of them. */
  readonly upstream: () => string;
  /** What is sent as `Host`, `127.0.0.1:8080`; as received by default. */
  readonly host?: () => string;
  readonly changeRequest?: (sent: Sent) => Sent;
  readonly changeAnswer?: (headers: IncomingHttpHeaders, status: number) => IncomingHttpHeaders;
  readonly onPassage?: (passage: Passage) => void;
}

/** A request's path with its query, and its body. */
export interface Sent {
  readonly path: string;
  readonly body: string;
}

export interface Relay {
  readonly url: string;
  stop(): Promise<void>;
}

/** Passes HTTP requests on, one by one, and lets their bodies and the answers' headers be changed on the way. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { upstream, host, changeRequest, changeAnswer, onPassage } = options;
  const server = createServer((incoming, response) => {
    void (async () => {
      const method = incoming.method ?? 'GET';
      const received: Sent = { path: incoming.url ?? '/', body: await read(incoming) };
      const { path, body } = changeRequest?.(received) ?? received;
      const headers = host === undefined ? incoming.headers : { ...incoming.headers, host: host() };
      const answer = await pass(`${upstream()}${path}`, { method, headers, body });
      const text = await read(answer);
      const status = answer.statusCode ?? 0;
      onPassage?.({ method, path, status, answerHeaders: answer.headers });
      response.writeHead(status, {
        ...withoutLength(changeAnswer?.(answer.headers, status) ?? answer.headers),
        'content-length': Buffer.byteLength(text),
      });
      response.end(text);
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The relay has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function read(message: IncomingMessage): Promise<string> {
  message.setEncoding('utf8');
  let text = '';
  message.on('data', (part: string) => (text += part));
  await once(message, 'end');
  return text;
}

async function pass(
  url: string,
  { method, headers, body }: { method: string; headers: IncomingHttpHeaders; body: string },
): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) };
    const outgoing = sendRequest(url, { method, headers: { ...withoutLength(headers), ...length } }, resolve);
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function withoutLength(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...kept } = headers;
  return kept;
}
