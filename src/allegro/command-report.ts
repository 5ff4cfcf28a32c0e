import type { z } from 'zod';
import { SyncError } from '../domain/errors.js';
import type { CommandId, OfferId } from '../domain/ids.js';
import type { Call, CommandReport, CommandTask } from '../domain/marketplace.js';
import { commandReportSchema, subjectTasksSchema, tasksSchema } from './answers.js';
import { answerError } from './errors.js';
import type { Quotas, SellerResource } from './quotas.js';
import { redact } from './redact.js';
import type { AccountRequest, Session } from './session.js';

/** One of the commands for many offers: they are registered, carried out later, and report by task. */
export interface CommandRoute {
  readonly name: string;
  readonly path: string;
  readonly resource: SellerResource;
  /** Bulk modification names the offer of a task in `subject`, the others in `offer`. */
  readonly tasks: 'offer' | 'subject';
}

/** Largest page of tasks, and the last offset (the document). */
const TASK_PAGE = 1000;
const LAST_TASK_OFFSET = 999;
const TIMEOUT_MS = 20_000;
export const REPORT_BYTES = 8 * 1024 * 1024;

/**
 * The report of a command with all pages of its tasks. A command that is not there (yet) is a report too: right after
 * its creation a GET may say 404 (facts §6.1).
 */
export async function readCommandReport(
  { session, quotas }: { readonly session: Session; readonly quotas: Quotas },
  call: Call,
  { route, commandId }: { readonly route: CommandRoute; readonly commandId: CommandId },
): Promise<CommandReport> {
  function readRequest(part: '' | '/tasks', query = ''): AccountRequest {
    return {
      operation: `read${route.name}${part === '' ? '' : 'Tasks'}`,
      kind: 'command_read',
      method: 'GET',
      route: `${route.path}/{commandId}${part}`,
      path: `${route.path}/${commandId}${part}${query}`,
      // 270,000 a minute per seller: more than the application may send.
      quotas: () => quotas.application,
      timeoutMs: TIMEOUT_MS,
      maxBytes: REPORT_BYTES,
      accepts: [200, 404],
    };
  }

  async function readTasks(total: number): Promise<CommandTask[]> {
    const tasks = new Map<OfferId, CommandTask>();
    for (let offset = 0; offset < total && offset <= LAST_TASK_OFFSET;) {
      const request = readRequest('/tasks', `?limit=${TASK_PAGE}&offset=${offset}`);
      const answer = await session.send(call, request);
      if (answer.status === 404) break;
      const page =
        route.tasks === 'offer'
          ? session.parse(tasksSchema, request, answer).tasks.map((task) => toTask(task.offer.id, task))
          : session.parse(subjectTasksSchema, request, answer).tasks.map((task) => toTask(task.subject.offerId, task));
      if (page.length === 0) break;
      for (const task of page) tasks.set(task.offerId, task);
      offset += page.length;
    }
    return [...tasks.values()];
  }

  const request = readRequest('');
  const answer = await session.send(call, request);
  if (answer.status === 404) return { isKnown: false, isComplete: false, tasks: [] };
  const report = session.parse(commandReportSchema, request, answer);
  if (report.id.toLowerCase() !== commandId.toLowerCase()) {
    throw new SyncError('InvalidAnswer', `${request.operation}: Allegro answered about another command.`);
  }
  if (report.completedAt === null) return { isKnown: true, isComplete: false, tasks: [] };
  const { total } = report.taskCount;
  const tasks = await readTasks(total);
  // Complete is what names every offer with its end; a command without offers is a report that is not ready.
  const isComplete = total > 0 && tasks.length >= total && tasks.every((task) => task.state !== 'new');
  return { isKnown: true, isComplete, tasks };
}

type AnsweredTask = Omit<z.output<typeof tasksSchema>['tasks'][number], 'offer'>;

const STATES = { NEW: 'new', SUCCESS: 'success', FAIL: 'fail' } as const;

function toTask(offerId: OfferId, task: AnsweredTask): CommandTask {
  const [error] = task.errors ?? [];
  const code = clean(error?.code);
  return {
    offerId,
    state: STATES[task.status],
    code,
    ...judge(task, code, clean(error?.message ?? task.message)),
  };
}

function judge(
  { status }: AnsweredTask,
  code: string | null,
  message: string | null,
): Pick<CommandTask, 'message' | 'errorType' | 'whatToDo'> {
  if (status !== 'FAIL') return { message };
  const { type, message: told, facts } = answerError({ kind: 'task', status: null, code, message });
  return { message: told, errorType: type, ...(facts.whatToDo === undefined ? {} : { whatToDo: facts.whatToDo }) };
}

function clean(text: string | null | undefined): string | null {
  return text == null ? null : redact(text, []);
}
