import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ERROR_TABLE, type AnswerKind, type ErrorRule } from '../../../src/allegro/error-table.js';

/** `docs/errors.md`, written by `node --import tsx test/unit/docs/error-page.ts`. */
export const ERROR_PAGE = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url));

const ASKED: Readonly<Record<AnswerKind, string>> = {
  account_read: 'listing, events, `/me`',
  command_write: 'sending a command',
  command_read: 'report of a command',
  offer_read: 'reading an offer',
  offer_write: 'changing an offer',
  operation: 'an accepted change',
  token: 'refreshing a login',
  device_login: '`accounts authorize`',
  task: 'an offer of a command',
};

const RETRIES: Readonly<Record<ErrorRule['retry'], string>> = {
  none: 'when allowed, no attempt used',
  declared: 'yes',
  final: 'no',
};

const HEAD = `# Errors of Allegro

What Allegro answers, what it means here, and what to do. The first row that fits an answer holds; a code that no row names
is kept as it came and judged by its status. The alert and \`incidents show N\` carry the sentence, Allegro's own code and
words, and what to do. Written from \`src/allegro/error-table.ts\`; what the classes mean for a run is in
[operations](operations.md#incidents).

"Again": \`yes\`, as declared in \`src/workflows/retry-policies.ts\`; \`no\`, the same answer would come; for 429 as soon as
it is allowed, which uses up no attempt.

| Answer | To | Class | Again | What you are told | What to do |
|---|---|---|---|---|---|
`;

export function renderErrorPage(): string {
  return `${HEAD}${ERROR_TABLE.map(renderRow).join('\n')}\n`;
}

function renderRow({ status, codes, kinds, type, retry, sentence, whatToDo }: ErrorRule): string {
  const answer = [statusText(status), ...codes.map((code) => `\`${code}\``)].filter((part) => part !== '').join(', ');
  const to = kinds.length === 0 ? 'anything' : kinds.map((kind) => ASKED[kind]).join(', ');
  return `| ${[answer, to, `\`${type}\``, RETRIES[retry], sentence, whatToDo].join(' | ')} |`;
}

function statusText(status: ErrorRule['status']): string {
  switch (status) {
    case 'task':
      return 'failed';
    case 'any':
      return 'any status';
    default:
      return String(status);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(ERROR_PAGE, renderErrorPage());
