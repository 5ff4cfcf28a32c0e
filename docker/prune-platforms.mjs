import { readdirSync, rmSync } from 'node:fs';

/**
 * Deletes the builds of Temporal's native part that this platform cannot load. Run in the directory that holds
 * `node_modules`, while the image is built.
 */

const RELEASES = 'node_modules/@temporalio/core-bridge/releases';
const ARCHITECTURES = { arm64: 'aarch64', x64: 'x86_64' };

const kept = `${ARCHITECTURES[process.arch]}-unknown-linux-gnu`;
const releases = readdirSync(RELEASES);
if (!releases.includes(kept)) throw new Error(`${RELEASES} holds no ${kept}, but ${releases.join(', ')}`);
for (const release of releases) {
  if (release !== kept) rmSync(`${RELEASES}/${release}`, { recursive: true });
}
