import { SyncError, type ErrorFacts } from '../domain/errors.js';
import { ERROR_TABLE, type AnswerKind, type ErrorRule } from './error-table.js';

/** What kept a request from being answered; the class for reads and for writes. */
export type TransportFailure = 'unreachable' | 'timeout' | 'cut';

/** An answer to judge. `status` null: a command's task. */
export interface JudgedAnswer {
  readonly kind: AnswerKind;
  readonly status: number | null;
  readonly code: string | null;
}

function fitsStatus(rule: ErrorRule, status: number | null): boolean {
  if (rule.status === 'any') return true;
  if (rule.status === 'task' || status === null) return rule.status === 'task' && status === null;
  if (typeof rule.status === 'number') return rule.status === status;
  return rule.status === `${Math.floor(status / 100)}xx`;
}

function fitsCode(rule: ErrorRule, code: string | null): boolean {
  if (rule.codes.length === 0) return true;
  return rule.codes.some((known) =>
    known.endsWith('*') ? (code?.startsWith(known.slice(0, -1)) ?? false) : known === code,
  );
}

/** The row for an answer. Every answer has one: the last row fits all. */
export function findErrorRule(answer: JudgedAnswer): ErrorRule {
  const rule = ERROR_TABLE.find(
    (row) =>
      (row.kinds.length === 0 || row.kinds.includes(answer.kind)) &&
      fitsStatus(row, answer.status) &&
      fitsCode(row, answer.code),
  );
  if (rule === undefined) throw new Error('the error table has no row for other answers');
  return rule;
}

/** The error for an answer, with Allegro's own words, from which secrets have been taken out before. */
export function answerError(answer: JudgedAnswer & { message: string | null; facts?: ErrorFacts }): SyncError {
  const rule = findErrorRule(answer);
  const words = [answer.status, answer.code].filter((word) => word !== null).join(' ');
  const details = [words, answer.message].filter((part) => part !== null && part !== '').join(': ');
  return new SyncError(rule.type, details === '' ? rule.sentence : `${rule.sentence} (${details})`, {
    ...answer.facts,
    whatToDo: rule.whatToDo,
    ...(answer.status === null ? {} : { status: answer.status }),
    ...(answer.code === null ? {} : { code: answer.code }),
  });
}

const TRANSPORT_SENTENCES: Readonly<Record<TransportFailure, string>> = {
  unreachable: 'Allegro cannot be reached',
  timeout: 'Allegro did not answer in time',
  cut: 'the connection to Allegro was cut before its answer was complete',
};

/** Reads have failed; of a write that may have arrived the outcome is unknown. */
export function transportError(failure: TransportFailure, isWrite: boolean, operation: string): SyncError {
  const type = isWrite && failure !== 'unreachable' ? 'OutcomeUnknown' : 'MarketplaceUnavailable';
  return new SyncError(type, `${operation}: ${TRANSPORT_SENTENCES[failure]}.`, {
    isUnanswered: failure !== 'unreachable',
  });
}
