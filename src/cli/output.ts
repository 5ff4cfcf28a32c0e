import Table from 'cli-table3';
import pc from 'picocolors';

/** A stream as far as the commands need it. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Colors = ReturnType<typeof pc.createColors>;

export interface OutputOptions {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** One JSON value to stdout instead of text. */
  readonly isJson: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where a command writes: results to stdout, what happens meanwhile to stderr, so that results can be piped. */
export interface Output {
  readonly isJson: boolean;
  /** Whether stderr, which carries the progress, is a terminal. */
  readonly isInteractive: boolean;
  readonly colors: Colors;
  readonly stderr: TextStream;
  /** A line of the result; nothing with `--json`. */
  readonly print: (line: string) => void;
  /** Rows under a head: a table on a terminal, aligned columns when piped; nothing with `--json`. */
  readonly table: (head: readonly string[], rows: readonly (readonly string[])[]) => void;
  /** The result for programs; nothing without `--json`. */
  readonly json: (value: unknown) => void;
  /** Raw text to stdout, such as CSV. */
  readonly raw: (text: string) => void;
  /** What happens meanwhile; to stderr, with `--json` too. */
  readonly note: (line: string) => void;
  readonly warn: (line: string) => void;
}

function stripColors(text: string): string {
  // eslint's no-control-regex is right about most patterns; an escape sequence begins with one.
  return text.replace(new RegExp(String.raw`\u001B\[\d+m`, 'g'), '');
}

/** Columns two spaces apart; the last one is not padded, so that no line ends in spaces. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, stripColors(cell).length);
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - stripColors(cell).length))
      .join('  ')
      .trimEnd(),
  );
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[], colors: Colors): string {
  const table = new Table({
    head: head.map((name) => colors.bold(name)),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

/** Colours on a terminal, unless NO_COLOR is set (https://no-color.org). */
function hasColors(stream: TextStream, env: OutputOptions['env']): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

export function createOutput({ stdout, stderr, isJson, env }: OutputOptions): Output {
  const colors = pc.createColors(hasColors(stdout, env));
  const stderrColors = pc.createColors(hasColors(stderr, env));
  const writeText = (text: string): void => {
    if (!isJson) stdout.write(`${text}\n`);
  };
  return {
    isJson,
    isInteractive: stderr.isTTY === true,
    colors,
    stderr,
    print: writeText,
    table: (head, rows) =>
      stdout.isTTY === true
        ? writeText(renderTable(head, rows, colors))
        : writeText(alignColumns([head, ...rows]).join('\n')),
    json: (value) => {
      if (isJson) stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    raw: (text) => void stdout.write(text),
    note: (line) => void stderr.write(`${line}\n`),
    warn: (line) => void stderr.write(`${stderrColors.yellow('warning:')} ${line}\n`),
  };
}
