import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import { jest } from '@jest/globals';
import { transformSync } from '@swc/core';
import { z } from 'zod';

/**
 * Modules of `src/` whose text can be changed while a test runs: what imports them gets functions that go to the text as
 * it is at the time of the call. So a rule can be taken out of the real source and the rest stays as it is.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A place in a file and what stands there instead. The place must be there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

type Exports = Readonly<Record<string, unknown>>;

/** Classes of the test's own realm: `instanceof` has to hold for what the other modules make. */
const REALM = { Array, Date, Error, Map, Object, Promise, RangeError, Set } as const;

const exportsSchema = z.record(z.string(), z.unknown());

export class MutableSource {
  private readonly originals = new Map<string, Exports>();
  private readonly changed = new Map<string, Exports>();

  /** To be called before anything imports the modules. */
  async open(files: readonly string[]): Promise<void> {
    for (const file of files) jest.unstable_mockModule(resolve(ROOT, file), () => this.forward(file));
    // A module is loaded when all it imports can be: those that import others of the list come later.
    for (const file of files) this.originals.set(file, await evaluate(file, readSource(file)));
  }

  /** Takes the edits, all files that are not named as they are. @throws Error when a place is not there, or not once */
  async change(edits: readonly Edit[]): Promise<void> {
    this.changed.clear();
    const texts = new Map<string, string>();
    for (const { file, find, replace } of edits) {
      const before = texts.get(file) ?? readSource(file);
      const count = before.split(find).length - 1;
      if (count !== 1) {
        throw new Error(`${file} holds ${count} times, not once: ${find}\nThe rule has moved: write its edit anew.`);
      }
      texts.set(
        file,
        before.replace(find, () => replace),
      );
    }
    for (const [file, text] of texts) this.changed.set(file, await evaluate(file, text));
  }

  private current(file: string): Exports {
    const exports = this.changed.get(file) ?? this.originals.get(file);
    if (exports === undefined) throw new Error(`${file} was used before it was opened`);
    return exports;
  }

  private forward(file: string): Exports {
    const names = Object.entries(this.originals.get(file) ?? {});
    return Object.fromEntries(
      names.map(([name, value]) => {
        if (typeof value !== 'function') return [name, value];
        return [
          name,
          (...args: unknown[]): unknown => {
            const now = this.current(file)[name];
            if (typeof now !== 'function') throw new Error(`${file}: ${name} is gone`);
            return Reflect.apply(now, undefined, args);
          },
        ];
      }),
    );
  }
}

function readSource(file: string): string {
  return readFileSync(resolve(ROOT, file), 'utf8');
}

async function evaluate(file: string, text: string): Promise<Exports> {
  const { code } = transformSync(text, {
    filename: file,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs', noInterop: true },
  });
  const modules = new Map<string, unknown>();
  for (const [, name = ''] of code.matchAll(/require\("([^"]+)"\)/g)) {
    const path = name.startsWith('.') ? resolve(dirname(resolve(ROOT, file)), name.replace(/\.js$/, '.ts')) : name;
    modules.set(name, await import(path));
  }
  const exports: Record<string, unknown> = {};
  const run: unknown = compileFunction(code, ['exports', 'require', ...Object.keys(REALM)], { filename: file });
  if (typeof run !== 'function') throw new Error(`${file} cannot be compiled`);
  Reflect.apply(run, undefined, [exports, (name: string) => modules.get(name), ...Object.values(REALM)]);
  return exportsSchema.parse(exports);
}
