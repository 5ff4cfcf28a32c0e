import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const COMPOSE_FILE = `${ROOT}docker-compose.yml`;

/** What `.env` must hold; the values are made up. */
export const SECRETS: Readonly<Record<string, string>> = {
  POSTGRES_PASSWORD: 'a1',
  SYNC_DATABASE_PASSWORD: 'b2',
  SYNC_WORKER_PASSWORD: 'b3',
  TEMPORAL_DATABASE_PASSWORD: 'c3',
  ALLEGRO_CLIENT_ID: 'client',
  ALLEGRO_CLIENT_SECRET: 'd4',
  ALLEGRO_USER_AGENT: 'StockTest/1.0.0 (+https://example.com/stock)',
  TOKEN_ENCRYPTION_KEY: 'e5',
};

export function isGoInstalled(): boolean {
  return spawnSync('go', ['version']).status === 0;
}

/** Builds `tools/compose-check` there. @throws Error with what Go said */
export function buildComposeCheck(program: string): void {
  const built = spawnSync('go', ['build', '-o', program, '.'], {
    cwd: `${ROOT}tools/compose-check`,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  if (built.status !== 0) throw new Error(`go build: ${built.stderr}`);
}

const projectSchema = z.object({
  services: z.record(z.string(), z.object({ environment: z.record(z.string(), z.string().nullable()).optional() })),
});

export type ComposeCheck =
  | { readonly kind: 'accepted'; readonly project: z.infer<typeof projectSchema> }
  | { readonly kind: 'refused'; readonly reason: string };

/** Loads a Compose file as Docker Compose does, with these variables in place of `.env`. */
export function checkComposeFile(
  program: string,
  file: string,
  environment: Readonly<Record<string, string>>,
): ComposeCheck {
  const checked = spawnSync(program, [file], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  if (checked.status !== 0) return { kind: 'refused', reason: checked.stderr };
  return { kind: 'accepted', project: projectSchema.parse(JSON.parse(checked.stdout)) };
}
