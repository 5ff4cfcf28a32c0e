import { describe, expect, it } from '@jest/globals';

import { closingLine, judge, readAllowedSkips, type JestResult } from '../../run-verdict.js';

const README = `# Title

## Tests that may be skipped

- \`web UI shows the summaries\` needs a browser
- \`needs "quotes" too\`

### Another heading

- \`not in the list\`
`;

function aResult(changes: Partial<JestResult> = {}): JestResult {
  return {
    numPassedTests: 3,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    numRuntimeErrorTestSuites: 0,
    testResults: [],
    ...changes,
  };
}

function aSkip(fullName: string, status = 'pending'): Partial<JestResult> {
  return { numPendingTests: 1, testResults: [{ assertionResults: [{ fullName, status }] }] };
}

const allowedSkips = readAllowedSkips(README);

describe('the verdict on a run', () => {
  it('is good when all passed', () => {
    const verdict = judge({ result: aResult(), exitCode: 0, allowedSkips });
    expect(verdict.problems).toEqual([]);
    expect(closingLine(verdict)).toBe('3 passed, 0 failed, 0 skipped');
  });

  it('counts a file that could not be run as failed', () => {
    const verdict = judge({ result: aResult({ numRuntimeErrorTestSuites: 2 }), exitCode: 1, allowedSkips });
    expect(closingLine(verdict)).toBe('3 passed, 2 failed, 0 skipped');
    expect(verdict.problems).toEqual(['2 failed']);
  });

  it('allows a skip that the README lists', () => {
    const verdict = judge({ result: aResult(aSkip('web UI shows the summaries')), exitCode: 0, allowedSkips });
    expect(verdict.problems).toEqual([]);
    expect(closingLine(verdict)).toBe('3 passed, 0 failed, 1 skipped');
  });

  it.each(['pending', 'todo', 'disabled'])('fails on a test that is %s and not listed', (status) => {
    const verdict = judge({ result: aResult(aSkip('not in the list', status)), exitCode: 0, allowedSkips });
    expect(verdict.problems).toEqual([
      'skipped, but the README does not list it under "Tests that may be skipped": not in the list',
    ]);
  });

  it('is bad when jest failed without a failed test', () => {
    expect(judge({ result: aResult(), exitCode: 1, allowedSkips }).problems).toHaveLength(1);
  });

  it('is bad when jest left no result', () => {
    const verdict = judge({ result: undefined, exitCode: 130, allowedSkips });
    expect(closingLine(verdict)).toBe('0 passed, 1 failed, 0 skipped');
    expect(verdict.problems).toHaveLength(1);
  });
});

describe('the list of skips in the README', () => {
  it('ends at the next heading', () => {
    expect([...allowedSkips]).toEqual(['web UI shows the summaries', 'needs "quotes" too']);
  });

  it('is empty without its heading', () => {
    expect(readAllowedSkips('# Title\n\n- `a test`\n').size).toBe(0);
  });
});
