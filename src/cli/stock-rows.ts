import type { StockEntry } from '../storage/stock.js';

/** More pieces than any warehouse holds: a number above it is a slip, such as an EAN in the wrong column. */
export const HIGHEST_STOCK = 999_999_999;
/** Allegro's `external.id` is far shorter; a longer text is a slip, such as a quote that was never closed. */
const LONGEST_SKU = 200;

export type StockColumn = 'sku' | 'quantity' | 'warehouse';
const COLUMNS: readonly StockColumn[] = ['sku', 'quantity', 'warehouse'];

/** One thing that is wrong with one row of a stock file. */
export interface BadRow {
  /** Line of the file, from 1 (the header); the last line of a row that spans several. */
  readonly line: number;
  readonly field: StockColumn | 'row';
  readonly message: string;
}

/** A checked stock file: what may be written, and everything that is wrong. */
export interface CheckedStock {
  readonly rowCount: number;
  readonly entries: StockEntry[];
  /** By line. */
  readonly badRows: BadRow[];
  /** SKUs that bad rows name: their numbers are not known, so they are not taken for missing from the file. */
  readonly unclear: { readonly sku: string; readonly warehouse: string }[];
  /** Bad rows that do not tell which SKU they mean. */
  readonly namelessBadRows: number;
}

interface SeenEntry extends StockEntry {
  readonly line: number;
  isContradicted: boolean;
}

/**
 * Where each column is in a header.
 * @returns the positions, or what is wrong with the header
 */
export function readHeader(names: readonly string[]): Map<StockColumn, number> | { readonly problem: string } {
  const positions = new Map<StockColumn, number>();
  const unknown: string[] = [];
  for (const [position, written] of names.entries()) {
    const name = written.trim().toLowerCase();
    const column = COLUMNS.find((known) => known === name);
    if (column === undefined) unknown.push(`"${written.trim()}"`);
    else if (positions.has(column)) return { problem: `column "${column}" is there twice` };
    else positions.set(column, position);
  }
  const missing = (['sku', 'quantity'] as const).filter((column) => !positions.has(column));
  const problems = [
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(', ')}`]),
    ...(unknown.length === 0 ? [] : [`unknown: ${unknown.join(', ')}`]),
  ];
  return problems.length === 0 ? positions : { problem: problems.join('; ') };
}

/** @returns the whole number, or what is wrong with the text */
export function readQuantity(text: string): number | { readonly problem: string } {
  const trimmed = text.trim();
  if (trimmed === '') return { problem: 'is empty' };
  if (/^\d+$/.test(trimmed)) {
    const quantity = Number(trimmed);
    return quantity <= HIGHEST_STOCK ? quantity : { problem: `"${trimmed}" is over the highest, ${HIGHEST_STOCK}` };
  }
  if (/^-\d+([.,]\d+)?$/.test(trimmed)) return { problem: `"${trimmed}" is negative` };
  if (/^\d+[.,]\d+$/.test(trimmed)) return { problem: `"${trimmed}" is not a whole number` };
  return { problem: `"${trimmed.slice(0, 40)}" is not a whole number, digits only` };
}

/** @returns what is wrong with a SKU or a warehouse, already trimmed; null: nothing */
export function nameProblem(name: string): string | null {
  if (name === '') return 'is empty';
  if (name.includes('\uFFFD')) return `"${name.slice(0, 40)}" is not UTF-8: save the file as UTF-8`;
  if (/\p{Cc}/u.test(name)) return 'holds a line break or another control character';
  if (name.length > LONGEST_SKU) return `has ${name.length} characters; at most ${LONGEST_SKU} are allowed`;
  return null;
}

/** Checks one row after the other; duplicates are found across all of them. */
export class StockRowCheck {
  private readonly byWarehouse = new Map<string, Map<string, SeenEntry>>();
  private readonly badRows: BadRow[] = [];
  private readonly unclear: { sku: string; warehouse: string }[] = [];
  private namelessBadRows = 0;
  private rowCount = 0;

  constructor(
    private readonly columns: ReadonlyMap<StockColumn, number>,
    private readonly columnCount: number,
    private readonly defaultWarehouse: string,
  ) {}

  add(cells: readonly string[], line: number): void {
    this.rowCount += 1;
    if (cells.length !== this.columnCount) {
      this.badRows.push({
        line,
        field: 'row',
        message: `has ${cells.length} fields, the header has ${this.columnCount}`,
      });
      this.namelessBadRows += 1;
      return;
    }
    const sku = this.cell(cells, 'sku').trim();
    const warehouse = this.columns.has('warehouse') ? this.cell(cells, 'warehouse').trim() : this.defaultWarehouse;
    const quantity = readQuantity(this.cell(cells, 'quantity'));
    const skuProblem = nameProblem(sku);
    const warehouseProblem = nameProblem(warehouse);

    if (skuProblem !== null) this.badRows.push({ line, field: 'sku', message: skuProblem });
    if (typeof quantity !== 'number') this.badRows.push({ line, field: 'quantity', message: quantity.problem });
    if (warehouseProblem !== null) this.badRows.push({ line, field: 'warehouse', message: warehouseProblem });

    if (skuProblem !== null || warehouseProblem !== null) this.namelessBadRows += 1;
    else if (typeof quantity !== 'number') this.unclear.push({ sku, warehouse });
    else this.keep({ sku, warehouse, quantity, line, isContradicted: false });
  }

  finish(): CheckedStock {
    const entries: StockEntry[] = [];
    const unclear = [...this.unclear];
    // A SKU that another row leaves unclear is not sure in this row either.
    const unclearNames = new Set(this.unclear.map(({ sku, warehouse }) => `${warehouse}\n${sku}`));
    for (const seen of this.byWarehouse.values()) {
      for (const { sku, warehouse, quantity, isContradicted } of seen.values()) {
        if (isContradicted) unclear.push({ sku, warehouse });
        else if (!unclearNames.has(`${warehouse}\n${sku}`)) entries.push({ sku, warehouse, quantity });
      }
    }
    this.badRows.sort((one, other) => one.line - other.line);
    const { rowCount, badRows, namelessBadRows } = this;
    return { rowCount, entries, badRows, unclear, namelessBadRows };
  }

  private keep(entry: SeenEntry): void {
    let seen = this.byWarehouse.get(entry.warehouse);
    if (seen === undefined) {
      seen = new Map();
      this.byWarehouse.set(entry.warehouse, seen);
    }
    const earlier = seen.get(entry.sku);
    if (earlier === undefined) {
      seen.set(entry.sku, entry);
    } else if (earlier.quantity !== entry.quantity) {
      earlier.isContradicted = true;
      this.badRows.push({
        line: entry.line,
        field: 'quantity',
        message: `SKU "${entry.sku}" has ${entry.quantity} here and ${earlier.quantity} in line ${earlier.line}`,
      });
    }
  }

  private cell(cells: readonly string[], column: StockColumn): string {
    return cells[this.columns.get(column) ?? -1] ?? '';
  }
}
