import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Written by `npm run local` when all its servers answer, and removed when it stops; absent in production. */
export const LOCAL_ENV_FILE = fileURLToPath(new URL('../.local/env', import.meta.url));

/** Reads KEY=VALUE lines; a value is everything after the first `=`. Empty lines and lines with `#` in front are skipped. */
export function parseEnvFile(text: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf('=');
    if (at <= 0 || line.startsWith('#')) continue;
    variables[line.slice(0, at)] = line.slice(at + 1);
  }
  return variables;
}

/** The text that `parseEnvFile` reads back. @throws Error when a value holds a line break. */
export function formatEnvFile(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => {
    if (/[\r\n]/.test(value)) throw new Error(`${name} holds a line break, which an env file cannot carry`);
    return `${name}=${value}\n`;
  });
  return lines.join('');
}

/** Fills variables that are not set from the file that `npm run local` writes. The real environment wins. */
export function loadLocalEnv(environment: NodeJS.ProcessEnv = process.env, file = LOCAL_ENV_FILE): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return;
  }
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  // Settings of a real application and of the simulator must not be mixed.
  const hasOwnAllegro = Object.keys(environment).some(
    (name) => name.startsWith('ALLEGRO_') && isSet(name) && !name.startsWith('ALLEGRO_SYNC_'),
  );
  for (const [name, value] of Object.entries(parseEnvFile(text))) {
    if (name.startsWith('ALLEGRO_') && hasOwnAllegro) continue;
    if (!isSet(name)) environment[name] = value;
  }
}
