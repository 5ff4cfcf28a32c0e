import type { Logger } from './observability/logger.js';

/** How long a process waits at its start for the parts it needs. */
const GIVE_UP_AFTER_MS = 60_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

/** A part is there, but not as it must be: waiting would not help. */
export class NotUsable extends Error {
  override readonly name = 'NotUsable';
}

/**
 * Connects to a part, trying again for a minute with a message each time.
 * @throws NotUsable at once when the part is wrong and not merely away; Error when the minute is over
 */
export async function connectPatiently<Part>(
  name: string,
  connect: () => Promise<Part>,
  services: { logger: Logger; scrub: (text: string) => string },
): Promise<Part> {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof NotUsable) throw error;
      const reason = services.scrub(error instanceof Error ? error.message || error.name : 'no answer');
      if (Date.now() + pauseMs > giveUpAt) throw new Error(`${name} cannot be reached: ${reason}`, { cause: error });
      services.logger.warn({ event: 'allegro_sync_waiting', part: name }, `${name} cannot be reached yet: ${reason}`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
