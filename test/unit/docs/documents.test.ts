import { describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { VARIABLE_NAMES } from '../../../src/config-variables.js';
import { SYNC_ERROR_TYPES } from '../../../src/domain/errors.js';
import { SEARCH_ATTRIBUTE_NAMES } from '../../../src/workflows/api.js';

/** What the documents say about the program, where that can be checked. */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

const documents = ['README.md', 'CHANGELOG.md', 'simulator/README.md', ...filesUnder('docs', '.md')];
const readme = readText('README.md');
const operations = readText('docs/operations.md');

/** The anchor that a heading gets: lower case, words joined by "-", nothing else kept. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function anchorsOf(path: string): string[] {
  return [...readText(path).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? ''));
}

function brokenLinks(path: string): string[] {
  const targets = [...readText(path).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return targets.filter((target) => {
    if (/^(https?|mailto):/.test(target)) return false;
    const [file = '', anchor] = target.split('#');
    const found = file === '' ? path : join(dirname(path), file);
    if (!existsSync(join(ROOT, found))) return true;
    return anchor !== undefined && !anchorsOf(found).includes(anchor);
  });
}

/** The text of a section, without its heading. */
function section(text: string, heading: string): string {
  const start = text.indexOf(`## ${heading}\n`);
  if (start === -1) throw new Error(`no section "${heading}"`);
  const rest = text.slice(start + 3);
  const end = rest.indexOf('\n## ');
  return end === -1 ? rest : rest.slice(0, end);
}

describe('every document', () => {
  test.each(documents)('%s links only to what is there', (path) => {
    expect(brokenLinks(path)).toEqual([]);
  });

  test.each(documents)('%s names no path of one machine', (path) => {
    expect(readText(path).match(/(^|[\s"'`(=])\/(root|home|work|tmp|Users)\//gm) ?? []).toEqual([]);
  });

  test.each(documents)('%s names only scripts that package.json has', (path) => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readText('package.json')));

    const named = [...readText(path).matchAll(/npm run ([a-z:-]+)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test.each(documents)('%s names only source files that are there', (path) => {
    const named = [...readText(path).matchAll(/`((?:src|test|docker|tools|bench|simulator)\/[\w./-]+)`/g)].map(
      (match) => match[1] ?? '',
    );

    expect(named.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });
});

describe('README.md', () => {
  test('lists every variable of the configuration, and no other', () => {
    const rows = section(readme, 'Configuration')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|')[1] ?? '');

    const listed = rows.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map((match) => match[1] ?? ''));
    expect(listed.sort()).toEqual([...VARIABLE_NAMES].sort());
  });

  test('shows the defaults that .env.example shows', () => {
    const defaults = new Map(
      [...readText('.env.example').matchAll(/^#([A-Z_]+)=(\S+)$/gm)].map((match) => [match[1], match[2]]),
    );
    const shown = section(readme, 'Configuration')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) => {
        const [, names = '', values = ''] = line.split('|');
        const given = [...values.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
        return [...names.matchAll(/`([A-Z_]+)`/g)].map((match, index) => [match[1], given[index]] as const);
      })
      .filter(([, value]) => value !== undefined);

    expect(shown.length).toBeGreaterThan(15);
    for (const [name, value] of shown) expect([name, value]).toEqual([name, defaults.get(name)]);
  });

  test('names the variables that only Compose reads', () => {
    const read = [...readText('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g)].map((match) => match[1] ?? '');
    const ofCompose = [...new Set(read)].filter((name) => !VARIABLE_NAMES.includes(name));

    expect(ofCompose).toHaveLength(5);
    for (const name of ofCompose) expect(section(readme, 'Configuration')).toContain(`\`${name}\``);
  });

  test('registers the search attributes that the program uses', () => {
    const attributes = SEARCH_ATTRIBUTE_NAMES.map((name) => `--name ${name} --type Keyword`).join(' ');

    const commands = [...readme.matchAll(/temporal operator search-attribute create ([^`\n]+)/g)].map(
      (match) => match[1],
    );
    expect(commands).toEqual([attributes, attributes]);
  });

  test('lists only skips of tests that are there', () => {
    const sources = filesUnder('test', '.test.ts').map(readText).join('\n');
    const names = [...section(readme, 'Tests that may be skipped').matchAll(/^- `([^`]+)`/gm)].map(
      (match) => match[1] ?? '',
    );

    expect(names.length).toBeGreaterThan(0);
    const missing = names.filter((name) => {
      const words = name.split(' ');
      // The name of the group comes first; how many words it has is not told.
      const endings = words.map((_, from) => words.slice(from).join(' ')).slice(1, -2);
      return !endings.some((ending) => sources.includes(ending));
    });
    expect(missing).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  test('explains every field of the metrics', () => {
    const source = /interface MetricsSummary \{([^}]+)\}/.exec(readText('src/observability/metrics.ts'))?.[1] ?? '';
    const fields = [...source.matchAll(/readonly (\w+):/g)].map((match) => match[1] ?? '');

    expect(fields.length).toBeGreaterThan(10);
    expect(fields.filter((field) => !operations.includes(`| \`${field}\` |`))).toEqual([]);
  });

  test('explains every problem that people are told of by a title of its own', () => {
    const sources = ['src/activities/report-run.ts', 'src/activities/accounts.ts', 'src/upkeep.ts'].map(readText);
    const titles = sources.flatMap((source) =>
      [...source.matchAll(/(?:title: |return )'([A-Z][^']+[^.'])'/g)].map((match) => match[1] ?? ''),
    );

    expect(titles.length).toBeGreaterThanOrEqual(7);
    expect(titles.filter((title) => title.includes(' ') && !operations.includes(`"${title}"`))).toEqual([]);
  });

  test('explains every HTTP endpoint', () => {
    const routes = [...readText('src/observability/http-server.ts').matchAll(/server\.get\('([^']+)'/g)];

    expect(routes.length).toBeGreaterThanOrEqual(5);
    expect(routes.filter((match) => !operations.includes(`| \`${match[1] ?? ''}\` |`))).toEqual([]);
  });

  test('explains every gauge', () => {
    const source = /const GAUGES = \{([^}]+)\}/.exec(readText('src/observability/metrics.ts'))?.[1] ?? '';
    const names = [...source.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1] ?? '');

    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !operations.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  test('names every folder of the sources', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `\`src/${name}/\``);

    const text = readText('docs/architecture.md');
    expect(folders.filter((folder) => !text.includes(folder))).toEqual([]);
  });
});

describe('the incidents of docs/operations.md', () => {
  const documented = [...section(operations, 'Incidents').matchAll(/^\|((?: ?`\w+`,?)+)[^|]*\|/gm)].flatMap((row) =>
    [...(row[1] ?? '').matchAll(/`(\w+)`/g)].map((name) => name[1] ?? ''),
  );

  /** Classes that no incident is made of: such runs end as stopped or superseded, and tell nobody. */
  const UNTOLD = ['WritesStopped', 'Superseded'];

  test('are all that a run can fail with', () => {
    const expected = [
      ...SYNC_ERROR_TYPES.filter((type) => !UNTOLD.includes(type)),
      'DeadlineExceeded',
      'InternalError',
    ];
    expect(expected.filter((name) => !documented.includes(name))).toEqual([]);
  });

  test('are all that the sources name', () => {
    const sources = [
      'activities/report-run',
      'activities/accounts',
      'domain/contested',
      'notifications/tell',
      'temporal-watch',
      'upkeep',
    ];
    const named = sources.flatMap((source) =>
      [...readText(`src/${source}.ts`).matchAll(/(?:class: |const [A-Z_]+ = )'([A-Z][A-Za-z]+)'/g)].map(
        (match) => match[1] ?? '',
      ),
    );
    expect(new Set(named).size).toBeGreaterThanOrEqual(7);
    expect([...new Set(named)].filter((name) => !documented.includes(name))).toEqual([]);
  });

  test('say what each means and what to do', () => {
    const rows = section(operations, 'Incidents').match(/^\| `.*$/gm) ?? [];
    for (const row of rows) expect(row.split(' | ').filter((cell) => cell.trim().length > 3)).toHaveLength(3);
  });
});

describe('docs/decisions', () => {
  const decisions = readdirSync(join(ROOT, 'docs/decisions')).sort();

  test('have a number each', () => {
    const numbers = decisions.map((name) => name.slice(0, 4));
    expect(numbers.filter((number) => !/^\d{4}$/.test(number))).toEqual([]);
    expect(new Set(numbers).size).toBe(decisions.length);
  });

  test.each(decisions)('%s says what was refused and what happens on failure', (name) => {
    const text = readText(`docs/decisions/${name}`);

    const parts = ['Context', 'Decision', 'Refused', 'On failure'].filter((part) => !text.includes(`**${part}.**`));
    expect(parts).toEqual([]);
    expect(text).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. `));
  });
});
