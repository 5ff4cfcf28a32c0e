import { join } from 'node:path';

import { readVariable, type System } from './system.js';

/** Where programs that were downloaded or built are kept between checkouts: `~/.cache/allegro-stock-sync`. */
export function cacheDirectory(system: System): string {
  return join(readVariable(system, 'XDG_CACHE_HOME') ?? join(system.homeDirectory, '.cache'), 'allegro-stock-sync');
}
