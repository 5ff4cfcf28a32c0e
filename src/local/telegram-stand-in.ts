import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { z } from 'zod';

/** A message as it was sent to the chat. */
export interface SentMessage {
  readonly chatId: string;
  /** Telegram's HTML. */
  readonly html: string;
  readonly at: Date;
}

/** `down`: connections break without an answer. `too_many`: 429, asking for a second of patience. */
export type TelegramMood = 'well' | 'down' | 'too_many';

/** A message that the server keeps for itself. */
export interface HeldMessage {
  isReached(): boolean;
  /** Breaks its connection, or lets go before it has come. */
  release(): void;
}

/** A local server that plays api.telegram.org for one bot: it takes every message and keeps it. */
export interface TelegramStandIn {
  /** What the worker is configured with. */
  readonly env: Readonly<Record<string, string>>;
  /** In the order of their arrival. */
  readonly messages: readonly SentMessage[];
  /** From now on messages are taken, or refused in this way. */
  setMood(mood: TelegramMood): void;
  /** Leaves the next message without an answer: before it is taken, or once it is. */
  hold(at: 'received' | 'applied'): HeldMessage;
  /** How many were refused so far. */
  readonly refusals: number;
  stop(): Promise<void>;
}

const BOT_TOKEN = '123456789:local-stand-in-token';
const CHAT_ID = '-1001234567890';

const JSON_TYPE = { 'content-type': 'application/json' };
const TOO_MANY = {
  ok: false,
  error_code: 429,
  description: 'Too Many Requests: retry after 1',
  parameters: { retry_after: 1 },
};

const requestSchema = z.object({ chat_id: z.string(), text: z.string() });

export async function startTelegramStandIn(): Promise<TelegramStandIn> {
  const messages: SentMessage[] = [];
  let mood: TelegramMood = 'well';
  let refusals = 0;
  let held: { at: 'received' | 'applied'; request: IncomingMessage | null } | null = null;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (mood !== 'well') refusals += 1;
      if (mood === 'down') {
        request.destroy();
        return;
      }
      if (mood === 'too_many') {
        response.writeHead(429, JSON_TYPE).end(JSON.stringify(TOO_MANY));
        return;
      }
      const holding = held?.request === null ? held : null;
      if (holding !== null) holding.request = request;
      if (holding?.at === 'received') return;
      const isKnown = request.url === `/bot${BOT_TOKEN}/sendMessage`;
      const parsed = requestSchema.safeParse(jsonOf(Buffer.concat(chunks).toString('utf8')));
      if (isKnown && parsed.success) {
        messages.push({ chatId: parsed.data.chat_id, html: parsed.data.text, at: new Date() });
      }
      if (holding !== null) return;
      const isTaken = isKnown && parsed.success;
      const answer = isTaken ? { ok: true, result: { message_id: messages.length } } : { ok: false, error_code: 400 };
      response.writeHead(isTaken ? 200 : 400, JSON_TYPE).end(JSON.stringify(answer));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    env: {
      TELEGRAM_API_URL: `http://127.0.0.1:${port}`,
      TELEGRAM_BOT_TOKEN: BOT_TOKEN,
      ALLEGRO_ERROR_NOTIFICATION_CHAT_ID: CHAT_ID,
    },
    messages,
    setMood(next) {
      mood = next;
    },
    hold(at) {
      const holding = { at, request: null as IncomingMessage | null };
      held = holding;
      return {
        isReached: () => holding.request !== null,
        release() {
          if (held === holding) held = null;
          holding.request?.destroy();
        },
      };
    },
    get refusals() {
      return refusals;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
