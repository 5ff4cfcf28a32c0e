import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** What `jest --json` writes, as far as it is read here. */
const jestResultSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int(),
  /** Files that could not be run at all, e.g. for a syntax error: no test of theirs is counted anywhere else. */
  numRuntimeErrorTestSuites: z.int(),
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});

export type JestResult = z.infer<typeof jestResultSchema>;

export interface Verdict {
  passed: number;
  failed: number;
  skipped: number;
  /** Why the run fails as a whole; empty when it does not. */
  problems: string[];
}

const SKIPS_HEADING = 'Tests that may be skipped';

/** Undefined when jest did not get as far as writing its result. */
export async function readJestResult(file: string): Promise<JestResult | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : jestResultSchema.parse(JSON.parse(text));
}

/** The full test names in the README's list, each the text in backticks of one bullet. */
export function readAllowedSkips(readme: string): Set<string> {
  const lines = readme.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '').trim() === SKIPS_HEADING);
  if (start === -1) return new Set();
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line));
  const section = end === -1 ? rest : rest.slice(0, end);
  return new Set(section.flatMap((line) => /^\s*[-*] `([^`]+)`/.exec(line)?.[1] ?? []));
}

function isSkipped(status: string): boolean {
  return status !== 'passed' && status !== 'failed';
}

/** Puts jest's own counts and exit code, and the README's list of skips, together. */
export function judge(run: { result: JestResult | undefined; exitCode: number; allowedSkips: Set<string> }): Verdict {
  const { result, exitCode, allowedSkips } = run;
  if (result === undefined) {
    return { passed: 0, failed: 1, skipped: 0, problems: [`jest ended with exit code ${exitCode} before its result`] };
  }
  const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
  const unlisted = result.testResults
    .flatMap((file) => file.assertionResults)
    .filter((test) => isSkipped(test.status) && !allowedSkips.has(test.fullName))
    .map((test) => `skipped, but the README does not list it under "${SKIPS_HEADING}": ${test.fullName}`);
  const problems = [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(failed === 0 && exitCode !== 0 ? [`jest ended with exit code ${exitCode} although no test failed`] : []),
    ...unlisted,
  ];
  return {
    passed: result.numPassedTests,
    failed,
    skipped: result.numPendingTests + result.numTodoTests,
    problems,
  };
}

/** The last line of every run. */
export function closingLine(verdict: Verdict): string {
  return `${verdict.passed} passed, ${verdict.failed} failed, ${verdict.skipped} skipped`;
}
