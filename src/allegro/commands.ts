import type { BulkAnswer, BulkModification } from '../domain/bulk-modification.js';
import type { CommandId } from '../domain/ids.js';
import type { Call, CommandAnswer, CommandReport, EndCommand, QuantityCommand } from '../domain/marketplace.js';
import { parseProblem } from './answers.js';
import { readCommandReport, REPORT_BYTES, type CommandRoute } from './command-report.js';
import { BETA_MEDIA_TYPE, type HttpAnswer } from './http-client.js';
import { MAX_BULK_CHANGES, MAX_COMMAND_OFFERS, type Quotas } from './quotas.js';
import type { AccountRequest, Session } from './session.js';

/** The commands for many offers: one value ≥ 1, the end of their publication, and (beta) a value for each. */
export interface Commands {
  submitQuantity(call: Call, command: QuantityCommand): Promise<CommandAnswer>;
  readQuantity(call: Call, commandId: CommandId): Promise<CommandReport>;
  submitEnd(call: Call, command: EndCommand): Promise<CommandAnswer>;
  readEnd(call: Call, commandId: CommandId): Promise<CommandReport>;
  readonly bulk: BulkModification;
}

const QUANTITY: CommandRoute = {
  name: 'QuantityCommand',
  path: '/sale/offer-quantity-change-commands',
  resource: 'quantity-changes',
  tasks: 'offer',
};
const PUBLICATION: CommandRoute = {
  name: 'EndCommand',
  path: '/sale/offer-publication-commands',
  resource: 'publication-changes',
  tasks: 'offer',
};
/** Beta for the request and its answer only; its reports are public (the document). */
const BULK: CommandRoute = {
  name: 'BulkCommand',
  path: '/sale/offer-bulk-modification-commands',
  resource: 'bulk-changes',
  tasks: 'subject',
};

const SUBMIT_TIMEOUT_MS = 30_000;
const DIFFERENT_CONTENT = 'COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT';
/** Statuses by which a beta resource says that it is gone, has another media type now, or is not for this application. */
const NOT_THERE: readonly number[] = [403, 404, 405, 406, 410, 415, 501];

export function createCommands(parts: { readonly session: Session; readonly quotas: Quotas }): Commands {
  const { session, quotas } = parts;

  /** @returns an accepted answer, or a 409 whose content may be ours */
  async function submit(
    call: Call,
    route: CommandRoute,
    request: Pick<AccountRequest, 'method' | 'path' | 'json'> & Partial<AccountRequest> & { readonly weight: number },
  ): Promise<HttpAnswer> {
    const { weight, ...rest } = request;
    const whole: AccountRequest = {
      operation: `submit${route.name}`,
      kind: 'command_write',
      route: rest.method === 'PUT' ? `${route.path}/{commandId}` : route.path,
      quotas: (sellerId) => quotas.forSeller(sellerId, route.resource, weight),
      timeoutMs: SUBMIT_TIMEOUT_MS,
      maxBytes: REPORT_BYTES,
      accepts: [200, 201, 202, 409],
      ...rest,
    };
    const answer = await session.send(call, whole);
    const isOther = answer.status === 409 && parseProblem(answer.body).code === DIFFERENT_CONTENT;
    if (isOther) throw session.errorOf(whole, answer, []);
    return answer;
  }

  async function submitForOffers(
    call: Call,
    route: CommandRoute,
    { commandId, offerIds, change }: EndCommand & { readonly change: object },
  ): Promise<CommandAnswer> {
    checkCount(offerIds.length, MAX_COMMAND_OFFERS);
    const answer = await submit(call, route, {
      method: 'PUT',
      path: `${route.path}/${commandId}`,
      json: { ...change, offerCriteria: [{ type: 'CONTAINS_OFFERS', offers: offerIds.map((id) => ({ id })) }] },
      weight: offerIds.length,
    });
    return toAnswer(answer);
  }

  const read = (route: CommandRoute) => (call: Call, commandId: CommandId) =>
    readCommandReport(parts, call, { route, commandId });

  return {
    async submitQuantity(call, { commandId, quantity, offerIds }) {
      checkQuantity(quantity);
      const change = { modification: { changeType: 'FIXED', value: quantity } };
      return submitForOffers(call, QUANTITY, { commandId, offerIds, change });
    },
    readQuantity: read(QUANTITY),
    submitEnd: (call, command) =>
      submitForOffers(call, PUBLICATION, { ...command, change: { publication: { action: 'END' } } }),
    readEnd: read(PUBLICATION),
    bulk: {
      maxChanges: MAX_BULK_CHANGES,
      async submit(call, { commandId, changes }): Promise<BulkAnswer> {
        checkCount(changes.length, MAX_BULK_CHANGES);
        for (const { quantity } of changes) checkQuantity(quantity);
        const answer = await submit(call, BULK, {
          method: 'POST',
          path: BULK.path,
          mediaType: BETA_MEDIA_TYPE,
          json: {
            commandId,
            modifications: changes.map(({ offerId, quantity }) => ({
              offerId,
              stock: { changeType: 'FIXED', value: quantity },
            })),
          },
          weight: changes.length,
          accepts: [200, 201, 202, 409, ...NOT_THERE],
        });
        return NOT_THERE.includes(answer.status) ? { kind: 'not_available' } : toAnswer(answer);
      },
      read: read(BULK),
    },
  };
}

function toAnswer({ status }: HttpAnswer): CommandAnswer {
  return status === 409 ? { kind: 'already_used' } : { kind: 'accepted' };
}

/** 0 is refused by Allegro (#3910), and would end offers if it were not. */
function checkQuantity(quantity: number): void {
  if (!Number.isSafeInteger(quantity) || quantity < 1) throw new RangeError(`a command of ${quantity} pieces`);
}

function checkCount(count: number, most: number): void {
  if (count < 1 || count > most) throw new RangeError(`a command of ${count} offers, not 1 to ${most}`);
}
