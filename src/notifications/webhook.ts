import { got, RequestError } from 'got';
import { NotificationError, type AlertMessage, type Notifier } from './notifier.js';
import { renderText, type RenderOptions } from './render.js';

export interface WebhookOptions extends RenderOptions {
  /** May hold a secret in its path or query, as those of chat services do: it is never shown. */
  readonly url: string;
  readonly timeoutMs?: number;
}

/**
 * Posts `{ "text": "…", "alert": { "kind": … } }`: the text for receivers that only show one, the message for those
 * that read it. Any 2xx means that it was taken.
 */
export function createWebhookNotifier(options: WebhookOptions): Notifier {
  const { url, timeoutMs = 10_000 } = options;
  const destination = `webhook at ${new URL(url).host}`;

  async function send(alert: AlertMessage): Promise<void> {
    const answer = await post({ text: renderText(alert, options), alert });
    if (answer.status >= 200 && answer.status < 300) return;
    const kind = answer.status === 400 || answer.status === 422 ? 'refused' : 'unavailable';
    throw new NotificationError(kind, `the ${destination} answered ${answer.status}`, answer.retryInMs);
  }

  async function post(json: object): Promise<{ status: number; retryInMs: number | null }> {
    try {
      const { statusCode, headers } = await got.post(url, {
        json,
        throwHttpErrors: false,
        followRedirect: false,
        retry: { limit: 0 },
        timeout: { request: timeoutMs },
      });
      const seconds = Number(headers['retry-after'] ?? Number.NaN);
      return { status: statusCode, retryInMs: seconds >= 0 ? seconds * 1000 : null };
    } catch (error) {
      // got's errors hold the address.
      const code = error instanceof RequestError ? error.code : 'unknown error';
      throw new NotificationError('unavailable', `the ${destination} could not be reached (${code})`);
    }
  }

  return { destination, send };
}
