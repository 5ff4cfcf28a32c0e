import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface ReceivedMessage {
  readonly path: string;
  readonly body: unknown;
}

export interface TelegramStandIn {
  readonly url: string;
  readonly received: ReceivedMessage[];
  /** What it answers from now on; by default it takes every message. */
  answerWith(answer: (response: ServerResponse) => void): void;
  close(): Promise<void>;
}

const TAKEN = { ok: true, result: { message_id: 1 } };

/** A local HTTP server that plays api.telegram.org. */
export async function startTelegramStandIn(): Promise<TelegramStandIn> {
  const received: ReceivedMessage[] = [];
  let answer = (response: ServerResponse): void => sendJson(response, 200, TAKEN);
  const server = createServer((request, response) => {
    void readBody(request).then((text) => {
      received.push({ path: request.url ?? '', body: JSON.parse(text) });
      answer(response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    answerWith: (next) => (answer = next),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
