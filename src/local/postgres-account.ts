import { SetUpError, type Print, type System } from './system.js';

/** The system user, and the superuser of the cluster. */
export const POSTGRES_USER = 'postgres';

export interface PostgresAccount {
  uid: number;
  gid: number;
}

async function readAccount(system: System): Promise<PostgresAccount | undefined> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => system.runCommand('id', [flag, POSTGRES_USER])));
  if (uid?.exitCode !== 0 || gid?.exitCode !== 0) return undefined;
  return { uid: Number(uid.output), gid: Number(gid.output) };
}

/** PostgreSQL refuses to run as root: then it runs as the system user `postgres`, made where it is missing. Undefined: as we are. */
export async function findPostgresAccount(system: System, print: Print): Promise<PostgresAccount | undefined> {
  if (!system.isRoot) return undefined;
  const existing = await readAccount(system);
  if (existing !== undefined) return existing;
  await system.runCommand('groupadd', ['--system', POSTGRES_USER]);
  const made = await system.runCommand('useradd', [
    '--system',
    '--gid',
    POSTGRES_USER,
    '--no-create-home',
    POSTGRES_USER,
  ]);
  const account = await readAccount(system);
  if (account === undefined) {
    throw new SetUpError(
      `PostgreSQL does not run as root, and the system user "${POSTGRES_USER}" could not be made (${made.output}). Run as an ordinary user, make that user (useradd --system ${POSTGRES_USER}), or set DATABASE_URL.`,
    );
  }
  print(`PostgreSQL: system user "${POSTGRES_USER}" made, because PostgreSQL does not run as root`);
  return account;
}
