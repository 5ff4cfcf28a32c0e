import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { CompleteAsyncError } from '@temporalio/activity';
import { SyncError, type ErrorFacts } from '../domain/errors.js';
import { isDatabaseUnavailable } from '../storage/database-errors.js';

/**
 * The one place where errors become what Temporal stores and retries by: an `ApplicationFailure` whose `type` is a
 * class of `domain/errors.ts`. Nothing else of an error crosses, least of all a cause: HTTP errors carry headers.
 */
export function toApplicationFailure(error: unknown): Error {
  // The SDK's word for a worker that stops: the next worker goes on, and no declared attempt is used up.
  if (error instanceof CancelledFailure && error.message === 'WORKER_SHUTDOWN') {
    return ApplicationFailure.create({ type: 'DependencyUnavailable', message: 'the worker is shutting down' });
  }
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure || error instanceof CompleteAsyncError) {
    return error;
  }
  if (error instanceof SyncError) {
    const facts: ErrorFacts = { ...error.facts };
    return ApplicationFailure.create({ type: error.type, message: error.message, details: [facts] });
  }
  if (isDatabaseUnavailable(error)) {
    return ApplicationFailure.create({ type: 'DependencyUnavailable', message: 'PostgreSQL cannot be reached' });
  }
  if (error instanceof Error) {
    return ApplicationFailure.create({ type: 'InternalError', message: `${error.name}: ${error.message}` });
  }
  return ApplicationFailure.create({ type: 'InternalError', message: 'an activity threw something that is no error' });
}

type Activity<Input, Result> = (input: Input) => Promise<Result>;

/** An activity whose errors arrive in the workflow by class. */
export function withFailures<Input, Result>(activity: Activity<Input, Result>): Activity<Input, Result> {
  return async (input) => {
    try {
      return await activity(input);
    } catch (error) {
      throw toApplicationFailure(error);
    }
  };
}
