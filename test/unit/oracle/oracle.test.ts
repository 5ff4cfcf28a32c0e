import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { judgeOffers, readStockFile, type JudgedAccount, type TrueState } from '../../../src/local/oracle.js';

const account: JudgedAccount = {
  sellerId: '1',
  mode: 'live',
  buffer: 0,
  max: null,
  raise: true,
  lower: true,
  reactivate: true,
  atZero: 'end',
};

function anOffer(change: Partial<TrueState> = {}): TrueState {
  return {
    id: '100',
    sellerId: '1',
    externalId: 'MUG',
    format: 'BUY_NOW',
    status: 'ACTIVE',
    available: 5,
    sold: 0,
    endedBy: null,
    endedByApi: false,
    isFulfillment: false,
    rejection: null,
    ...change,
  };
}

interface Case {
  before?: Partial<TrueState>;
  after?: Partial<TrueState> | null;
  stock: string;
  account?: Partial<JudgedAccount>;
  isTold?: boolean;
}

function faultsOf({ before = {}, after = {}, stock, account: settings = {}, isTold = false }: Case): string[] {
  const offer = anOffer(before);
  const { wrong } = judgeOffers({
    before: [offer],
    after: after === null ? [] : [{ ...offer, ...after }],
    stockCsv: `sku,quantity\n${stock}\n`,
    accounts: [{ ...account, ...settings }],
    toldAsFailed: isTold ? [offer.id] : [],
  });
  return wrong.map(({ why }) => why);
}

describe('an offer on sale', () => {
  test('must show the number of its stock', () => {
    expect(faultsOf({ stock: 'MUG,9', after: { available: 9 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,9' })).toEqual([
      'it must be ACTIVE with 9, it is ACTIVE with 5, was ACTIVE with 5 (stock allows 9)',
    ]);
  });

  test('must be ended when there is none left, whatever number it then shows', () => {
    expect(faultsOf({ stock: 'MUG,0', after: { status: 'ENDED', available: 0 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,0', after: { status: 'ENDED' } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,0', after: { available: 0 } })).toHaveLength(1);
  });

  test('keeps its last piece where the account says so, and is not raised to it', () => {
    const atZero = { atZero: 'one' } as const;
    expect(faultsOf({ stock: 'MUG,0', account: atZero, after: { available: 1 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,0', account: atZero, before: { available: 1 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,0', account: atZero, after: { status: 'ENDED', available: 0 } })).toHaveLength(1);
  });

  test('shows stock less buffer, at most the maximum, at most what Allegro can hold', () => {
    expect(faultsOf({ stock: 'MUG,9', account: { buffer: 2 }, after: { available: 7 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,9', account: { max: 6 }, after: { available: 6 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,200000', before: { sold: 99 }, after: { available: 99_900 } })).toEqual([]);
  });

  test('must be as it was where its account is in preview or is not synced, or where it is excluded', () => {
    for (const settings of [{ mode: 'preview' }, { sellerId: '2' }, { excluded: ['100'] }] as const) {
      expect(faultsOf({ stock: 'MUG,9', account: settings })).toEqual([]);
      expect(faultsOf({ stock: 'MUG,9', account: settings, after: { available: 9 } })).toHaveLength(1);
    }
  });
});

describe('an ended offer', () => {
  const ended = { status: 'ENDED', available: 0 } as const;

  test('comes back when it was sold out, or when we ended it', () => {
    const after = { status: 'ACTIVE', available: 9, endedBy: null };
    expect(faultsOf({ stock: 'MUG,9', before: { ...ended, endedBy: 'EMPTY_STOCK' }, after })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,9', before: { ...ended, endedBy: 'USER', endedByApi: true }, after })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,9', before: { ...ended, endedBy: 'USER' }, after })).toHaveLength(1);
  });

  test('stays ended while there is no stock', () => {
    expect(faultsOf({ stock: 'MUG,0', before: { ...ended, endedBy: 'EMPTY_STOCK' } })).toEqual([]);
  });
});

describe('an offer that refuses its correction', () => {
  const refuses = { rejection: { commands: true, endings: true } };

  test('must stay as it is and be told', () => {
    for (const stock of ['MUG,9', 'MUG,2', 'MUG,0']) {
      expect(faultsOf({ stock, before: refuses, isTold: true })).toEqual([]);
      expect(faultsOf({ stock, before: refuses })).toEqual([expect.stringContaining('nobody was told')]);
    }
  });

  test('is corrected by command where only edits are refused', () => {
    const rejection = { commands: false, endings: false };
    expect(faultsOf({ stock: 'MUG,2', before: { rejection }, after: { available: 2 } })).toEqual([]);
    expect(faultsOf({ stock: 'MUG,2', before: { rejection }, isTold: true })).toHaveLength(1);
  });
});

describe('every offer', () => {
  test('must not be told as failed when nothing was to be done', () => {
    expect(faultsOf({ stock: 'MUG,5', isTold: true })).toEqual([expect.stringContaining('told as failed')]);
  });

  test('must still be there, and none may be added', () => {
    expect(faultsOf({ stock: 'MUG,5', after: null })).toEqual([expect.stringContaining('it is gone')]);
    expect(faultsOf({ stock: 'MUG,5', after: { id: '101' } })).toEqual([
      expect.stringContaining('it is gone'),
      expect.stringContaining('listed anew with 5'),
    ]);
  });
});

describe('the stock file', () => {
  test('gives the sum over warehouses, without outer white space', () => {
    const csv = '\ufeffsku,quantity,warehouse\r\n MUG ,2,main\r\nMUG,3,outlet\r\nCUP,0,main\r\n';
    expect([...readStockFile(csv)]).toEqual([
      ['MUG', 5],
      ['CUP', 0],
    ]);
  });
});

test('the oracle imports nothing of the application it judges', () => {
  const directory = new URL('../../../src/local/', import.meta.url);
  const files = readdirSync(directory).filter((name) => /^oracle.*\.ts$/.test(name));
  expect(files).toContain('oracle.ts');
  for (const name of files) {
    const imports = [...readFileSync(new URL(name, directory), 'utf8').matchAll(/from '([^']+)'/g)].map(
      ([, from]) => from,
    );
    expect(imports.filter((from) => from?.startsWith('.') === true && !/^\.\/oracle/.test(from))).toEqual([]);
  }
});
