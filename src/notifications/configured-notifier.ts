import type { NotificationsConfig } from '../config.js';
import type { Notifier } from './notifier.js';
import { createTelegramNotifier } from './telegram.js';
import { createWebhookNotifier } from './webhook.js';

/** The one place alerts go to. @returns null when none is configured: then they go to the log */
export function createConfiguredNotifier({ telegram, webhookUrl }: NotificationsConfig): Notifier | null {
  if (telegram !== null) return createTelegramNotifier(telegram);
  return webhookUrl === null ? null : createWebhookNotifier({ url: webhookUrl });
}
