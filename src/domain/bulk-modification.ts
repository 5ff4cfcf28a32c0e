import type { CommandId, OfferId } from './ids.js';
import type { Call, CommandAnswer, CommandReport } from './marketplace.js';

/** Different values for several offers in one request. A marketplace may not have it, or not any more. */
export interface BulkModification {
  /** Most offers in one command. */
  readonly maxChanges: number;
  /** Each offer once, each quantity ≥ 1; the rest as for `Marketplace.submitQuantityCommand`. */
  submit(call: Call, command: BulkCommand): Promise<BulkAnswer>;
  read(call: Call, commandId: CommandId): Promise<CommandReport>;
}

export interface BulkCommand {
  readonly commandId: CommandId;
  readonly changes: readonly { readonly offerId: OfferId; readonly quantity: number }[];
}

/** `not_available`: nothing was changed; send the values one by one. */
export type BulkAnswer = CommandAnswer | { readonly kind: 'not_available' };
