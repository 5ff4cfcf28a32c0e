/**
 * The first thing that npm scripts run: on a fresh clone nothing is installed yet, so this file needs nothing but Node.
 * It checks Node's version and installs the dependencies when they are missing or do not fit package-lock.json.
 */
import { spawnSync } from 'child_process';
import { createHash } from 'crypto';
import { existsSync, readFileSync, writeFileSync } from 'fs';
import { dirname, join } from 'path';
import { fileURLToPath } from 'url';

const NODE_MINIMUM = [20, 19];
const MARKER = 'allegro-stock-sync-lock.sha256';

// No syntax newer than Node 12 in this file, so that an old Node prints the message below and not a syntax error.
const root = process.argv[2] || dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, 'package-lock.json');
const modules = join(root, 'node_modules');
const marker = join(modules, MARKER);

/** @returns {boolean} */
function isNodeRecentEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1]);
}

/** What npm itself noted about an installation that was made by hand: does it hold every package of the lock file? */
function fitsByNpmsOwnNote() {
  const note = join(modules, '.package-lock.json');
  if (!existsSync(note)) return false;
  const installed = JSON.parse(readFileSync(note, 'utf8')).packages || {};
  const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages || {};
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' || entry.optional === true || (path in installed && installed[path].version === entry.version),
  );
}

/** @param {string} hash @returns {string | undefined} why the dependencies have to be installed */
function reasonToInstall(hash) {
  if (!existsSync(modules)) return 'node_modules is missing';
  if (existsSync(marker)) {
    return readFileSync(marker, 'utf8') === hash ? undefined : 'package-lock.json has changed since the last time';
  }
  return fitsByNpmsOwnNote() ? undefined : 'node_modules does not hold what package-lock.json names';
}

function install() {
  // Dev dependencies are needed to run from a checkout, and the PostgreSQL programs are an optional one.
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const npmScript = process.env.npm_execpath;
  const isScript = npmScript !== undefined && /npm-cli\.c?js$/.test(npmScript);
  return isScript
    ? spawnSync(process.execPath, [npmScript, ...args], { cwd: root, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' });
}

function main() {
  if (!isNodeRecentEnough()) {
    console.error(
      `Node ${NODE_MINIMUM.join('.')} or newer is needed, this is ${process.versions.node}. Get one from https://nodejs.org/ or with "nvm install 24".`,
    );
    return 1;
  }
  const hash = createHash('sha256').update(readFileSync(lockFile)).digest('hex');
  const reason = reasonToInstall(hash);
  if (reason !== undefined) {
    console.log(`Dependencies: npm ci, because ${reason}`);
    const result = install();
    if (result.status !== 0) {
      const why = result.error === undefined ? `exit code ${result.status}` : result.error.message;
      console.error(`Dependencies: npm ci failed (${why}). Make "npm ci" work in ${root} and start again.`);
      return 1;
    }
  }
  if (reason !== undefined || !existsSync(marker)) writeFileSync(marker, hash);
  return 0;
}

process.exitCode = main();
