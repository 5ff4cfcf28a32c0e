import type { RunId } from '../domain/ids.js';
import type { Call } from '../domain/marketplace.js';
import { inRun } from './run-scope.js';
import type { ActivityServices } from './services.js';

export interface AwaitRateLimitInput {
  readonly runId: RunId;
  readonly priority: Call['priority'];
  /** Of the next batch. */
  readonly requestsAtOnce: number;
  /** The next batch writes to single offers, for which the seller has limits too. */
  readonly isWriting: boolean;
}

export interface AwaitRateLimitResult {
  /** Under 2 s: go. Else the workflow sleeps this long, which takes no slot. */
  readonly waitMs: number;
  /** Which quota is full. */
  readonly scope: string | null;
}

/**
 * Asks whether there is room for the next batch behind all requests that wait, of all accounts and workers: so these stay
 * under 2 s × the rate. It takes no permit: each request takes its own when it is sent.
 */
export function createAwaitRateLimit(services: ActivityServices) {
  return function awaitRateLimit(input: AwaitRateLimitInput): Promise<AwaitRateLimitResult> {
    return inRun(services, input, ({ account }) =>
      services.marketplace.peekPermit({
        atOnce: input.requestsAtOnce,
        writesOf: input.isWriting ? account.sellerId : null,
      }),
    );
  };
}
