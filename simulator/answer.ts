/** What is sent back: a status, a body that is text already, and headers beyond content type and `trace-id`. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const PUBLIC_MEDIA_TYPE = 'application/vnd.allegro.public.v1+json';
export const BETA_MEDIA_TYPE = 'application/vnd.allegro.beta.v1+json';

/** One element of Allegro's `errors` array. */
export interface ApiError {
  readonly code: string;
  readonly message: string;
  readonly details: string | null;
  readonly path: string | null;
  readonly userMessage: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function apiError(code: string, message: string, path: string | null = null, userMessage = message): ApiError {
  return { code, message, details: null, path, userMessage };
}

export function errorsAnswer(status: number, ...errors: readonly ApiError[]): Answer {
  return { status, body: JSON.stringify({ errors }) };
}

/** The usual case: one error. */
export function errorAnswer(status: number, code: string, message: string, path: string | null = null): Answer {
  return errorsAnswer(status, apiError(code, message, path));
}

/** OAuth's shape, which the API host uses for 401 too, whatever its document declares. */
export function authErrorAnswer(status: number, error: string, description: string): Answer {
  return {
    status,
    body: JSON.stringify({ error, error_description: description }),
    contentType: 'application/json;charset=UTF-8',
  };
}

export function jsonAnswer(status: number, value: unknown, headers?: Readonly<Record<string, string>>): Answer {
  const body = JSON.stringify(value);
  return headers ? { status, body, headers } : { status, body };
}
