import { SyncError } from '../domain/errors.js';
import type { CommandId, OfferId } from '../domain/ids.js';
import type {
  Call,
  CommandAnswer,
  CommandReport,
  CommandTask,
  EndCommand,
  QuantityCommand,
} from '../domain/marketplace.js';
import { commandReportSchema, parseProblem, tasksSchema } from './answers.js';
import { findErrorRule } from './errors.js';
import { MAX_COMMAND_OFFERS, type Quotas, type SellerResource } from './quotas.js';
import { redact } from './redact.js';
import type { AccountRequest, Session } from './session.js';

/** The two commands for many offers: one value ≥ 1, and the end of their publication. */
export interface Commands {
  submitQuantity(call: Call, command: QuantityCommand): Promise<CommandAnswer>;
  readQuantity(call: Call, commandId: CommandId): Promise<CommandReport>;
  submitEnd(call: Call, command: EndCommand): Promise<CommandAnswer>;
  readEnd(call: Call, commandId: CommandId): Promise<CommandReport>;
}

interface CommandRoute {
  readonly name: string;
  readonly path: string;
  readonly resource: SellerResource;
}

const QUANTITY: CommandRoute = {
  name: 'QuantityCommand',
  path: '/sale/offer-quantity-change-commands',
  resource: 'quantity-changes',
};
const PUBLICATION: CommandRoute = {
  name: 'EndCommand',
  path: '/sale/offer-publication-commands',
  resource: 'publication-changes',
};

/** Largest page of tasks, and the last offset (the document). */
export const TASK_PAGE = 1000;
const LAST_TASK_OFFSET = 999;

const SUBMIT_TIMEOUT_MS = 30_000;
export const REPORT_TIMEOUT_MS = 20_000;
export const REPORT_BYTES = 8 * 1024 * 1024;
const DIFFERENT_CONTENT = 'COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT';

export function createCommands({ session, quotas }: { readonly session: Session; readonly quotas: Quotas }): Commands {
  async function submit(
    call: Call,
    route: CommandRoute,
    command: { readonly commandId: CommandId; readonly offerIds: readonly OfferId[]; readonly change: object },
  ): Promise<CommandAnswer> {
    const count = command.offerIds.length;
    if (count < 1 || count > MAX_COMMAND_OFFERS) throw new RangeError(`a command of ${count} offers`);
    const request: AccountRequest = {
      operation: `submit${route.name}`,
      kind: 'command_write',
      method: 'PUT',
      route: `${route.path}/{commandId}`,
      path: `${route.path}/${command.commandId}`,
      json: {
        ...command.change,
        offerCriteria: [{ type: 'CONTAINS_OFFERS', offers: command.offerIds.map((id) => ({ id })) }],
      },
      quotas: (sellerId) => quotas.forSeller(sellerId, route.resource, count),
      timeoutMs: SUBMIT_TIMEOUT_MS,
      maxBytes: REPORT_BYTES,
      accepts: [200, 201, 202, 409],
    };
    const answer = await session.send(call, request);
    if (answer.status !== 409) return { kind: 'accepted' };
    if (parseProblem(answer.body).code === DIFFERENT_CONTENT) throw session.errorOf(request, answer, []);
    return { kind: 'already_used' };
  }

  function readRequest(route: CommandRoute, operation: string, path: string): AccountRequest {
    return {
      operation,
      kind: 'command_read',
      method: 'GET',
      route: path.includes('/tasks') ? `${route.path}/{commandId}/tasks` : `${route.path}/{commandId}`,
      path,
      // 270,000 a minute per seller: more than the application may send.
      quotas: () => quotas.application,
      timeoutMs: REPORT_TIMEOUT_MS,
      maxBytes: REPORT_BYTES,
      accepts: [200, 404],
    };
  }

  async function readTasks(call: Call, route: CommandRoute, commandId: CommandId, total: number) {
    const tasks = new Map<OfferId, CommandTask>();
    for (let offset = 0; offset < total && offset <= LAST_TASK_OFFSET;) {
      const path = `${route.path}/${commandId}/tasks?limit=${TASK_PAGE}&offset=${offset}`;
      const request = readRequest(route, `read${route.name}Tasks`, path);
      const answer = await session.send(call, request);
      if (answer.status === 404) break;
      const page = session.parse(tasksSchema, request, answer).tasks;
      if (page.length === 0) break;
      for (const task of page) {
        tasks.set(task.offer.id, toTask({ ...task, offerId: task.offer.id }));
      }
      offset += page.length;
    }
    return [...tasks.values()];
  }

  async function read(call: Call, route: CommandRoute, commandId: CommandId): Promise<CommandReport> {
    const request = readRequest(route, `read${route.name}`, `${route.path}/${commandId}`);
    const answer = await session.send(call, request);
    // Right after its creation a command may not be there yet.
    if (answer.status === 404) return { isComplete: false, isKnown: false, tasks: [] };
    const report = session.parse(commandReportSchema, request, answer);
    if (report.id.toLowerCase() !== commandId.toLowerCase()) {
      throw new SyncError('InvalidAnswer', `${request.operation}: Allegro answered about another command.`);
    }
    if (report.completedAt === null) return { isComplete: false, isKnown: true, tasks: [] };
    const tasks = await readTasks(call, route, commandId, report.taskCount.total);
    // Complete is what names every offer with its end; a command without offers is a report that is not ready.
    const { total } = report.taskCount;
    const isComplete = total > 0 && tasks.length >= total && tasks.every((task) => task.state !== 'new');
    return { isComplete, isKnown: true, tasks };
  }

  return {
    async submitQuantity(call, { commandId, quantity, offerIds }) {
      // 0 is refused by Allegro (#3910), and would end offers if it were not.
      if (!Number.isSafeInteger(quantity) || quantity < 1) throw new RangeError(`a command of ${quantity} pieces`);
      const change = { modification: { changeType: 'FIXED', value: quantity } };
      return submit(call, QUANTITY, { commandId, offerIds, change });
    },
    readQuantity: (call, commandId) => read(call, QUANTITY, commandId),
    submitEnd: (call, { commandId, offerIds }) =>
      submit(call, PUBLICATION, { commandId, offerIds, change: { publication: { action: 'END' } } }),
    readEnd: (call, commandId) => read(call, PUBLICATION, commandId),
  };
}

/** A task as Allegro words it. */
export interface AnsweredTask {
  readonly offerId: OfferId;
  readonly status: 'NEW' | 'SUCCESS' | 'FAIL';
  readonly message?: string | null | undefined;
  readonly errors?:
    readonly { code?: string | null | undefined; message?: string | null | undefined }[] | null | undefined;
}

const STATES = { NEW: 'new', SUCCESS: 'success', FAIL: 'fail' } as const;

export function toTask(task: AnsweredTask): CommandTask {
  const [error] = task.errors ?? [];
  const code = clean(error?.code);
  return {
    offerId: task.offerId,
    state: STATES[task.status],
    code,
    message: clean(error?.message ?? task.message),
    ...(task.status === 'FAIL' ? { errorType: findErrorRule({ kind: 'task', status: null, code }).type } : {}),
  };
}

function clean(text: string | null | undefined): string | null {
  return text == null ? null : redact(text, []);
}
