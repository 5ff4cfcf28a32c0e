import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** `prism proxy` as a child process: passes requests on and says which of them, and of their answers, break the document. */
export interface Prism {
  readonly url: string;
  stop(): Promise<void>;
}

const STARTS_WITHIN_MS = 120_000;
const LAST_LINES = 20;

/** @param document a file. @param upstream where requests go. @throws Error with Prism's last lines when it does not come up */
export async function startPrism(document: string, upstream: string): Promise<Prism> {
  const program = createRequire(import.meta.url).resolve('@stoplight/prism-cli');
  // Port 0: any free one. Without --errors the exchange goes on, and violations are told in a header of the answer.
  const args = [program, 'proxy', document, upstream, '--port', '0', '--host', '127.0.0.1', '--cors', 'false'];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
  });
  const lines: string[] = [];
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const url = await new Promise<string | null>((resolve) => {
    const timer = setTimeout(() => resolve(null), STARTS_WITHIN_MS);
    const note = (line: string): void => {
      lines.push(line);
      if (lines.length > LAST_LINES) lines.shift();
      const [address] = /http:\/\/127\.0\.0\.1:\d+$/.exec(line.trim()) ?? [];
      if (!line.includes('is listening') || address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    };
    // Both are read to the end, so that Prism never waits for a full pipe.
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', note);
    child.once('exit', () => resolve(null));
  });
  if (url === null) {
    await stop();
    throw new Error(`Prism did not start:\n${lines.join('\n')}`);
  }
  return { url, stop };
}
