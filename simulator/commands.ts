import type { Answer, ApiError } from './answer.js';
import { errorAnswer, jsonAnswer } from './answer.js';
import type { ApiCall } from './call.js';
import type { Clock } from './clock.js';
import type { Journal } from './journal.js';
import type { SellerLimits } from './limits.js';
import { integer } from './listing.js';
import type { Report } from './report.js';
import type { SellerResource, Settings } from './settings.js';

const KEPT_MS = 7 * 24 * 3_600_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** One offer of a command. */
export interface CommandTask {
  readonly offerId: string;
  readonly field: string;
  status: 'NEW' | 'SUCCESS' | 'FAIL';
  error: ApiError | null;
}

export interface NewCommand {
  readonly id: string;
  /** What was asked for, as text that is equal for equal content. */
  readonly content: string;
  readonly tasks: readonly { readonly offerId: string; readonly field: string; readonly run: () => ApiError | null }[];
}

interface Command {
  readonly id: string;
  readonly sellerId: string;
  readonly content: string;
  readonly createdAt: number;
  isStarted: boolean;
  completedAt: number | null;
  readonly tasks: readonly CommandTask[];
}

interface CommandsParts {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly report: Report;
  readonly sellerLimits: SellerLimits;
  readonly settings: () => Settings;
  readonly changes: SellerResource;
  /** Bulk tasks name their offer in `subject`, the others in `offer`. */
  readonly taskShape: 'offer' | 'subject';
}

export function tooManyRequests(): Answer {
  return errorAnswer(
    429,
    'TOO_MANY_REQUESTS',
    'The maximum number of queries per user has been exceeded. Try again in a few moments.',
  );
}

/** Commands of one type: registered at once, processed later, reported for seven days (allegro-api #3451). */
export class Commands {
  readonly #commands = new Map<string, Command>();
  readonly #parts: CommandsParts;

  constructor(parts: CommandsParts) {
    this.#parts = parts;
  }

  clear(): void {
    this.#commands.clear();
  }

  /** 201 with zero counts; the tasks run after the delay. */
  register(call: ApiCall, command: NewCommand): Answer {
    const { clock, journal, report, sellerLimits, settings, changes } = this.#parts;
    if (!UUID.test(command.id)) {
      report.noteMistake('command_id_not_uuid', command.id);
      return errorAnswer(400, 'VALIDATION_ERROR', 'commandId must be a UUID', 'commandId');
    }
    const known = this.#commands.get(command.id);
    if (known) return this.#again(known, command, call);
    if (!sellerLimits.take(call.seller.id, changes, clock.now(), command.tasks.length)) return tooManyRequests();
    const tasks: CommandTask[] = command.tasks.map(({ offerId, field }) => ({
      offerId,
      field,
      status: 'NEW',
      error: null,
    }));
    const registered: Command = {
      id: command.id,
      sellerId: call.seller.id,
      content: command.content,
      createdAt: clock.now(),
      isStarted: false,
      completedAt: null,
      tasks,
    };
    this.#commands.set(command.id, registered);
    const answer = jsonAnswer(201, generalReport(registered));
    if (call.stallMs === Infinity) return answer;
    const delayMs = settings().commandDelayMs + call.stallMs;
    clock.after(delayMs / 2, () => {
      registered.isStarted = true;
      clock.after(delayMs / 2, () => {
        command.tasks.forEach(({ run }, index) => {
          const task = tasks[index];
          if (!task) return;
          task.error = run();
          task.status = task.error ? 'FAIL' : 'SUCCESS';
        });
        registered.completedAt = clock.now();
        journal.mark(call.entry, 'applied');
      });
    });
    return answer;
  }

  answerReport(call: ApiCall): Answer {
    const found = this.#find(call);
    return 'status' in found ? found : jsonAnswer(200, generalReport(found.command));
  }

  answerTasks(call: ApiCall): Answer {
    const parameters = new URLSearchParams(call.query);
    const limit = integer(parameters.get('limit'), 100);
    const offset = integer(parameters.get('offset'), 0);
    if (limit === null || limit < 1 || limit > 1000) {
      return errorAnswer(422, 'VALIDATION_ERROR', 'limit must be between 1 and 1000', 'limit');
    }
    if (offset === null || offset < 0 || offset > 999) {
      return errorAnswer(422, 'VALIDATION_ERROR', 'offset must be between 0 and 999', 'offset');
    }
    const found = this.#find(call);
    if ('status' in found) return found;
    const tasks = found.command.tasks.slice(offset, offset + limit).map((task) => this.#taskJson(task));
    return jsonAnswer(200, { tasks });
  }

  #again(known: Command, command: NewCommand, call: ApiCall): Answer {
    if (known.sellerId !== call.seller.id || known.content !== command.content) {
      this.#parts.report.noteMistake('command_id_reused_with_other_content', command.id);
      return errorAnswer(
        409,
        'COMMAND_ALREADY_REGISTERED_WITH_DIFFERENT_CONTENT',
        `Command ${command.id} is already registered with different content`,
      );
    }
    if (this.#parts.settings().commandReplay === 'accept') return jsonAnswer(201, generalReport(known));
    return errorAnswer(409, 'COMMAND_ALREADY_REGISTERED', `Command id already used: ${command.id}`);
  }

  #find(call: ApiCall): { command: Command } | Answer {
    const { clock, sellerLimits, settings } = this.#parts;
    const command = this.#commands.get(call.route.commandId);
    const now = clock.now();
    const isReadable =
      command?.sellerId === call.seller.id &&
      now - command.createdAt >= settings().commandHiddenMs &&
      now - command.createdAt < KEPT_MS;
    if (!command || !isReadable)
      return errorAnswer(404, 'COMMAND_NOT_FOUND', `Command ${call.route.commandId} not found`);
    if (!sellerLimits.take(call.seller.id, 'commandReads', now, command.tasks.length)) return tooManyRequests();
    return { command };
  }

  #taskJson(task: CommandTask): object {
    const subject =
      this.#parts.taskShape === 'offer'
        ? { offer: { id: task.offerId }, field: task.field }
        : { subject: { offerId: task.offerId, field: task.field } };
    return {
      ...subject,
      status: task.status,
      message: task.error?.message ?? (task.status === 'NEW' ? '' : 'Changes applied'),
      errors: task.error ? [task.error] : [],
    };
  }
}

function generalReport(command: Command): object {
  const success = command.tasks.filter(({ status }) => status === 'SUCCESS').length;
  const failed = command.tasks.filter(({ status }) => status === 'FAIL').length;
  return {
    id: command.id,
    createdAt: new Date(command.createdAt).toISOString(),
    completedAt: command.completedAt === null ? null : new Date(command.completedAt).toISOString(),
    taskCount: { total: command.isStarted ? command.tasks.length : 0, success, failed },
  };
}
