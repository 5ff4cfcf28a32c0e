import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** True when any user may enter every folder on the way to the path, the path itself included where it exists. */
export function isOpenToOthers(path: string): boolean {
  const absolute = resolve(path);
  const mayEnter = !existsSync(absolute) || (statSync(absolute).mode & 0o001) !== 0;
  const parent = dirname(absolute);
  return mayEnter && (parent === absolute || isOpenToOthers(parent));
}
