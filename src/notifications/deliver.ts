import type { Db } from '../storage/database.js';
import { claimDue, keepClaim, markFailed, markSent, release, type WaitingMessage } from '../storage/outbox.js';
import { alertMessageSchema, NotificationError, type Notifier } from './notifier.js';

export interface DeliveryServices {
  readonly db: Db;
  readonly notifier: Notifier;
  readonly logger: DeliveryLog;
  readonly now?: () => Date;
}

/** The part of a logger that is needed here. */
export interface DeliveryLog {
  warn(fields: object, message: string): void;
}

export interface DeliveryCounts {
  readonly sent: number;
  readonly failed: number;
}

/** Longer than one message may take, which has a time-out of 10 s: the lease of the rest is renewed before each. */
const LEASE_MS = 15_000;
const MESSAGES_PER_CLAIM = 20;
const FIRST_DELAY_MS = 15_000;
const LONGEST_DELAY_MS = 15 * 60_000;
/** Whatever a notifier asks for: alerts are not kept back for longer. */
const LONGEST_BLOCK_MS = 60 * 60_000;

/**
 * Sends every message that is due, each at least once: a sender that is killed between sending and noting it repeats
 * that one. Never throws for a notifier that is down or a database that is away; what is not sent waits.
 */
export async function deliverOutbox(services: DeliveryServices): Promise<DeliveryCounts> {
  const now = services.now ?? (() => new Date());
  const total = { sent: 0, failed: 0 };
  try {
    for (;;) {
      const claimed = await claimDue(services.db, { limit: MESSAGES_PER_CLAIM, now: now(), leaseMs: LEASE_MS });
      const counts = await sendClaimed(services, claimed, now);
      total.sent += counts.sent;
      total.failed += counts.failed;
      if (counts.isStopped || claimed.length < MESSAGES_PER_CLAIM) return total;
    }
  } catch (error) {
    services.logger.warn(
      { err: error, event: 'allegro_sync_alert_waiting' },
      'alerts could not be read from the outbox',
    );
    return total;
  }
}

async function sendClaimed(
  services: DeliveryServices,
  claimed: readonly WaitingMessage[],
  now: () => Date,
): Promise<DeliveryCounts & { isStopped: boolean }> {
  const counts = { sent: 0, failed: 0 };
  for (const [index, message] of claimed.entries()) {
    const left = claimed.slice(index);
    const kept = await keepClaim(services.db, left, new Date(now().getTime() + LEASE_MS));
    // This process slept for so long that another one has sent it, or is about to.
    if (!kept.has(message.id)) continue;
    const failure = await trySend(services.notifier, message);
    if (failure === null) {
      await markSent(services.db, message.id, now());
      counts.sent++;
      continue;
    }
    counts.failed++;
    const waitMs = Math.min(failure.retryInMs ?? backoffMs(message.attempts), LONGEST_BLOCK_MS);
    const retryAt = new Date(now().getTime() + waitMs);
    const isBlock = failure.kind === 'unavailable' && failure.retryInMs !== null;
    await markFailed(services.db, message.id, { error: failure.message, retryAt, isBlock });
    const { destination } = services.notifier;
    const fields = { event: 'allegro_sync_alert_waiting', destination, attempts: message.attempts, retryAt };
    services.logger.warn(fields, failure.message);
    if (failure.kind === 'unavailable') {
      const rest = left.slice(1).flatMap(({ id }) => (kept.has(id) ? [id] : []));
      await release(services.db, rest, retryAt);
      return { ...counts, isStopped: true };
    }
  }
  return { ...counts, isStopped: false };
}

async function trySend(notifier: Notifier, waiting: WaitingMessage): Promise<NotificationError | null> {
  const parsed = alertMessageSchema.safeParse(waiting.message);
  if (!parsed.success) {
    const fields = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.')))].join(', ');
    return new NotificationError('refused', `the message in the outbox is not understood (${fields})`);
  }
  try {
    await notifier.send(parsed.data);
    return null;
  } catch (error) {
    if (error instanceof NotificationError) return error;
    // Not the error itself: nobody knows what a foreign error holds.
    return new NotificationError('unavailable', 'the notifier failed in an unexpected way');
  }
}

function backoffMs(attempts: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempts - 1, 20));
}
