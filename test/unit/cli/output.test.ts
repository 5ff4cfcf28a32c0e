import { describe, expect, test } from '@jest/globals';
import { alignColumns, createOutput, type OutputOptions } from '../../../src/cli/output.js';

function anOutput(options: Partial<OutputOptions> & { isTTY?: boolean } = {}) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY: options.isTTY ?? false,
    write: (text: string) => (written[name] += text),
  });
  const output = createOutput({
    isJson: false,
    env: {},
    ...options,
    stdout: stream('stdout'),
    stderr: stream('stderr'),
  });
  return { output, written };
}

const ESCAPE = '\u001B';

describe('the output of a command', () => {
  test('is aligned columns without colours when it is piped', () => {
    const { output, written } = anOutput();
    output.table(
      ['sku', 'quantity'],
      [
        ['A', '1'],
        ['LONG-SKU', output.colors.red('2')],
      ],
    );
    expect(written.stdout).toBe('sku       quantity\nA         1\nLONG-SKU  2\n');
  });

  test('is a table with colours on a terminal', () => {
    const { output, written } = anOutput({ isTTY: true });
    output.table(['sku'], [[output.colors.red('A')]]);
    expect(written.stdout).toContain('│');
    expect(written.stdout).toContain(`${ESCAPE}[31mA`);
  });

  test('has no colours on a terminal with NO_COLOR', () => {
    const { output, written } = anOutput({ isTTY: true, env: { NO_COLOR: '1' } });
    output.table(['sku'], [[output.colors.red('A')]]);
    expect(written.stdout).not.toContain(ESCAPE);
  });

  test('is nothing but one JSON value with --json', () => {
    const { output, written } = anOutput({ isJson: true });
    output.print('text');
    output.table(['a'], [['b']]);
    output.json({ a: 1 });
    expect(JSON.parse(written.stdout)).toEqual({ a: 1 });
  });

  test('has no JSON without --json', () => {
    const { output, written } = anOutput();
    output.json({ a: 1 });
    expect(written.stdout).toBe('');
  });

  test('keeps notes and warnings out of stdout', () => {
    const { output, written } = anOutput();
    output.note('waiting');
    output.warn('careful');
    expect(written).toEqual({ stdout: '', stderr: 'waiting\nwarning: careful\n' });
  });
});

test('columns are as wide as their widest cell without its colours', () => {
  expect(
    alignColumns([
      [`${ESCAPE}[31mab${ESCAPE}[39m`, 'x'],
      ['abc', 'y'],
    ]),
  ).toEqual([`${ESCAPE}[31mab${ESCAPE}[39m   x`, 'abc  y']);
});
