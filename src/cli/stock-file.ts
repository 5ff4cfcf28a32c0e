import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { CsvError, parse } from 'csv-parse';
import { readHeader, StockRowCheck, type CheckedStock } from './stock-rows.js';

const DELIMITERS = [';', ',', '\t'] as const;
/** A header is far shorter; reading more would only help a file that is no stock file. */
const HEADER_BYTES = 64 * 1024;

/** The file as a whole cannot be read as stock: its header, its encoding or its quoting is wrong. */
export class StockFileError extends Error {
  override readonly name = 'StockFileError';
}

/** The delimiter of a header line: the one that separates known columns, else the one that occurs most. */
export function detectDelimiter(headerLine: string): string {
  const counted = DELIMITERS.map((delimiter) => {
    const cells = headerLine.split(delimiter).map((cell) => cell.trim().replaceAll('"', ''));
    const hasColumns = typeof readHeader(cells) === 'object' && readHeader(cells) instanceof Map;
    return { delimiter, score: cells.length + (hasColumns ? 1_000_000 : 0) };
  });
  return counted.reduce((best, next) => (next.score > best.score ? next : best)).delimiter;
}

async function readHeaderLine(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    const start = buffer.subarray(0, bytesRead);
    if ((start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff)) {
      throw new StockFileError('the file is UTF-16: save it as UTF-8');
    }
    const text = start
      .toString('utf8')
      .replace(/^\uFEFF/, '')
      .trimStart();
    return text.split(/\r\n|\n|\r/, 1)[0] ?? '';
  } finally {
    await file.close();
  }
}

function describeCsvError(error: unknown, lastGoodLine: number): StockFileError | null {
  if (!(error instanceof CsvError)) return null;
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
    return new StockFileError(`a quoted field that starts after line ${lastGoodLine} is never closed`);
  }
  return new StockFileError(`after line ${lastGoodLine}: ${error.message}`);
}

/**
 * Reads and checks a whole stock file: comma, semicolon or tab; with or without BOM; LF or CRLF; quoted fields.
 * Holds one entry per SKU in memory: 1,000,000 rows take a few seconds and some 200 MB.
 *
 * @param warehouse of the rows when the file has no column `warehouse`
 * @throws StockFileError when the header is wrong or the file cannot be read as CSV; the system's error when it cannot be opened
 */
export async function readStockFile(
  path: string,
  warehouse: string,
): Promise<CheckedStock & { hasWarehouses: boolean }> {
  const headerLine = await readHeaderLine(path);
  if (headerLine === '') throw new StockFileError('the file is empty; its first line must be: sku,quantity');

  let check: StockRowCheck | null = null;
  let hasWarehouses = false;
  let lastLine = 0;
  const parser = parse({
    bom: true,
    delimiter: detectDelimiter(headerLine),
    record_delimiter: ['\r\n', '\n', '\r'],
    // Rows of another length are listed with the other bad rows instead of ending the reading.
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    // Returning null keeps rows out of the stream: three times as fast as asking for each row's line number in it.
    on_record: (cells: string[], { lines }): null => {
      lastLine = lines;
      if (check !== null) {
        check.add(cells, lines);
        return null;
      }
      const header = readHeader(cells);
      if (!(header instanceof Map)) {
        throw new StockFileError(
          `wrong header (${header.problem}); expected sku,quantity or sku,quantity,warehouse, separated by comma, semicolon or tab`,
        );
      }
      hasWarehouses = header.has('warehouse');
      check = new StockRowCheck(header, cells.length, warehouse);
      return null;
    },
  });
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), parser.resume());
  } catch (error) {
    throw describeCsvError(error, lastLine) ?? error;
  }
  return { ...finished(check), hasWarehouses };
}

function finished(check: StockRowCheck | null): CheckedStock {
  if (check === null) throw new StockFileError('the file has no header; its first line must be: sku,quantity');
  return check.finish();
}
