import { got, RequestError } from 'got';
import { z } from 'zod';
import { NotificationError, type AlertMessage, type Notifier } from './notifier.js';
import { renderTelegramHtml, type RenderOptions } from './render.js';

export interface TelegramOptions extends RenderOptions {
  /** Without a slash at the end. */
  readonly apiUrl: string;
  readonly botToken: string;
  readonly chatId: string;
  readonly timeoutMs?: number;
}

/** https://core.telegram.org/bots/api#making-requests */
const answerSchema = z.object({
  ok: z.boolean(),
  description: z.string().optional(),
  parameters: z
    .object({ retry_after: z.number().nonnegative().optional(), migrate_to_chat_id: z.number().optional() })
    .optional(),
});
type Answer = z.infer<typeof answerSchema>;

/** One message, one request, never repeated here: what was not taken is sent again from the outbox. */
export function createTelegramNotifier(options: TelegramOptions): Notifier {
  const { apiUrl, botToken, chatId, timeoutMs = 10_000 } = options;

  async function send(message: AlertMessage): Promise<void> {
    const { status, body } = await post({
      chat_id: chatId,
      text: renderTelegramHtml(message, options),
      parse_mode: 'HTML',
      link_preview_options: { is_disabled: true },
    });
    const answer = parseAnswer(body);
    if (status === 200 && answer?.ok === true) return;
    throw refusal(status, answer);
  }

  /** The token is part of the address, and got's errors hold the address: none of them gets out of here. */
  async function post(json: Record<string, unknown>): Promise<{ status: number; body: string }> {
    try {
      const { statusCode, body } = await got.post(`${apiUrl}/bot${botToken}/sendMessage`, {
        json,
        throwHttpErrors: false,
        followRedirect: false,
        retry: { limit: 0 },
        timeout: { request: timeoutMs },
      });
      return { status: statusCode, body };
    } catch (error) {
      const code = error instanceof RequestError ? error.code : 'unknown error';
      throw new NotificationError('unavailable', `Telegram could not be reached (${code})`);
    }
  }

  function refusal(status: number, answer: Answer | null): NotificationError {
    const description = (answer?.description ?? 'no description').replaceAll(botToken, '[secret]').slice(0, 200);
    const said = `Telegram answered ${status}: ${description}`;
    const movedTo = answer?.parameters?.migrate_to_chat_id;
    if (movedTo !== undefined) {
      const advice = `set ALLEGRO_ERROR_NOTIFICATION_CHAT_ID=${movedTo}: the group became a supergroup`;
      return new NotificationError('unavailable', `${said}; ${advice}`);
    }
    const retryAfterSeconds = answer?.parameters?.retry_after;
    const retryInMs = retryAfterSeconds === undefined ? null : retryAfterSeconds * 1000;
    const isAboutThisMessage = status === 400 && !/chat not found/i.test(description);
    return new NotificationError(isAboutThisMessage ? 'refused' : 'unavailable', said, retryInMs);
  }

  return { destination: `Telegram chat ${chatId}`, send };
}

function parseAnswer(body: string): Answer | null {
  try {
    return answerSchema.safeParse(JSON.parse(body)).data ?? null;
  } catch {
    return null;
  }
}
