/** One Ctrl-C may arrive twice, from the terminal and passed on by npm: only a later one is a second wish. */
const SAME_WISH_MS = 1000;

/** How often to look whether npm is still there. */
const LOOK_AT_PARENT_MS = 1000;

/**
 * Resolves when the process is asked to stop: by Ctrl-C, SIGTERM, a closed terminal, or the end of the npm that runs
 * it, which may be killed without a chance to pass that on. Until then the process stays alive. A second Ctrl-C ends
 * the process at once; the servers are told to stop even then.
 */
export function waitForStopRequest(): Promise<void> {
  return new Promise((resolve) => {
    const parent = process.ppid;
    const isRunByNpm = process.env['npm_lifecycle_event'] !== undefined;
    let requestedAt: number | undefined;
    const request = (): void => {
      if (requestedAt !== undefined && Date.now() - requestedAt > SAME_WISH_MS) process.exit(130);
      requestedAt ??= Date.now();
      clearInterval(look);
      resolve();
    };
    const look = setInterval(() => {
      if (isRunByNpm && process.ppid !== parent) request();
    }, LOOK_AT_PARENT_MS);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, request);
  });
}
