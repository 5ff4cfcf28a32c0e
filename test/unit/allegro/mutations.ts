/** Repeatable disorder: answers of Allegro as they should not be. */

export type Random = () => number;

/** mulberry32: small, repeatable by its seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((item, index) => pathsOf(item, [...path, index]))];
  if (typeof value === 'object' && value !== null) {
    return [path, ...Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]))];
  }
  return [path];
}

const DROP = Symbol('drop');

/** The value with another one at the path, or without it. */
function replaceAt(value: unknown, path: Path, change: (old: unknown) => unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return change(value);
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => {
      if (index !== step) return [item];
      const changed = replaceAt(item, rest, change);
      return changed === DROP ? [] : [changed];
    });
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]: [string, unknown]) => {
      if (key !== step) return [[key, item]];
      const changed = replaceAt(item, rest, change);
      return changed === DROP ? [] : [[key, changed]];
    }),
  );
}

const OUT_OF_RANGE = [
  -1,
  0.5,
  1e21,
  -0.0001,
  2_147_483_648,
  Number.MAX_SAFE_INTEGER,
  '',
  ' ',
  '\u0000',
  'x'.repeat(100_000),
];

/** Still JSON, but one to three fields are dropped, of another type, out of range, another offer's id, or a secret. */
export function mutateField(random: Random, body: unknown, { secret }: { secret: string }): string {
  const others: readonly unknown[] = [null, true, 7, '7', [], {}, [null], { id: 7 }, 'ENDED', 'NaN'];
  let mutated = body;
  for (let count = 1 + Math.floor(random() * 3); count > 0; count -= 1) {
    const path = pick(random, pathsOf(mutated));
    const change = pick(random, [
      () => DROP,
      () => pick(random, others),
      () => pick(random, OUT_OF_RANGE),
      () => '99999999999',
      () => secret,
      (old: unknown) => [old, old],
    ]);
    const changed = replaceAt(mutated, path, change);
    mutated = changed === DROP ? null : changed;
  }
  return JSON.stringify(mutated);
}

/** Still JSON: one field is dropped, of another type, out of range, or, where it is an id, another offer's. */
export function distortField(random: Random, body: unknown, ids: readonly string[]): string {
  const path = pick(random, pathsOf(body).slice(1));
  const isId = path.at(-1) === 'id' && !path.includes('external');
  const changed = replaceAt(
    body,
    path,
    pick(random, [
      () => DROP,
      retype,
      (old: unknown) => (typeof old === 'number' ? pick(random, [-1, 0.5, 1e21, 2_147_483_648]) : retype(old)),
      (old: unknown) => (isId ? pick(random, [...ids, '99999999999']) : retype(old)),
    ]),
  );
  return JSON.stringify(changed);
}

function retype(old: unknown): unknown {
  switch (typeof old) {
    case 'string':
      return { text: old };
    case 'number':
      return `${old} szt.`;
    case 'boolean':
      return String(old);
    default:
      return Array.isArray(old) ? {} : 'something else';
  }
}

/** No JSON any more, or none that was meant: cut, garbled, HTML, too deep. */
export function mutateText(random: Random, body: unknown, { secret }: { secret: string }): string {
  const text = JSON.stringify(body);
  const at = Math.floor(random() * text.length);
  return pick(random, [
    () => text.slice(0, at),
    () => text.slice(at),
    () => `${text.slice(0, at)}${String.fromCharCode(Math.floor(random() * 0xffff))}${text.slice(at + 1)}`,
    () => `<html><body><h1>503</h1><p>${secret}</p></body></html>`,
    () => '',
    () => `\ufeff${text}`,
    () => `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    () => `{"__proto__":{"id":"7"},${text.slice(1)}`,
    () => `${text}${text}`,
    () => text.replaceAll(/\d/g, 'N'),
    () => `"${secret}`,
    () => 'null',
  ])();
}
