import type { Command } from 'commander';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { ALLEGRO_SCOPES } from '../allegro/oauth.js';
import { SyncError } from '../domain/errors.js';
import { addAccount } from '../storage/accounts.js';
import { requireAccount } from './account-lookup.js';
import { addCommand, type RunCommand } from './command.js';
import { CommandFailed, UsageError } from './failures.js';
import { accountId, flag, oneOf } from './inputs.js';
import type { Need } from './services.js';

const LOGIN_NEEDS = ['database', 'redis', 'allegro', 'encryption', 'sync'] as const satisfies readonly Need[];

/** A refresh token of Allegro is a JWT of some 1,000 characters. */
const LONGEST_TOKEN = 8_192;

export function registerAccountLogin(accounts: Command, runCommand: RunCommand): void {
  addCommand(accounts, runCommand, {
    usage: 'add <id>',
    summary: 'add an account; it starts in preview, which writes nothing',
    options: [
      { flags: '--name <name>', description: 'as it is shown in messages (required)' },
      { flags: '--mode <preview|live>', description: 'default: preview' },
      {
        flags: '--refresh-token-stdin',
        description: 'log in with a refresh token read from stdin, which is used up by it',
      },
    ],
    examples: [
      'accounts add shop-1 --name "Tea House"',
      'accounts add shop-1 --name "Tea House" --refresh-token-stdin < token',
    ],
    input: z.object({
      id: accountId,
      name: z.string('is required').trim().min(1, 'is empty').max(200, 'has more than 200 characters'),
      mode: oneOf(['preview', 'live']).default('preview'),
      refreshTokenStdin: flag,
    }),
    needs: ({ refreshTokenStdin }) => (refreshTokenStdin ? LOGIN_NEEDS : ['database']),
    run: async ({ id, name, mode, refreshTokenStdin }, { services, output, stdin }) => {
      const refreshToken = refreshTokenStdin ? await readToken(stdin) : null;
      const db = await services.database();
      const login = refreshToken === null ? null : (await services.allegro()).login;
      if (!(await addAccount(db, { accountId: id, name, mode }))) {
        throw new UsageError(`<id>: there is an account "${id}" already`);
      }
      if (login !== null && refreshToken !== null) {
        const seller = await login.adoptRefreshToken(id, refreshToken).catch((error: unknown) => {
          if (!(error instanceof SyncError)) throw error;
          throw new CommandFailed(
            `"${id}" is added, but not logged in: ${error.message} Log in with: allegro-stock-sync accounts authorize ${id}`,
          );
        });
        output.print(`"${id}" is added in ${mode} mode, logged in as ${seller.login} (${seller.sellerId}).`);
      } else {
        output.print(`"${id}" is added in ${mode} mode. Log in with: allegro-stock-sync accounts authorize ${id}`);
      }
      output.json(await requireAccount(db, id));
      return 0;
    },
  });
  addCommand(accounts, runCommand, {
    usage: 'authorize <id>',
    summary: 'log in to Allegro: prints a link, waits for consent, shows whose shop it is',
    details: 'An account stays bound to the first seller that logs in; another seller is refused.',
    examples: ['accounts authorize shop-1'],
    input: z.object({ id: accountId }),
    needs: LOGIN_NEEDS,
    run: async ({ id }, { services, output }) => {
      await requireAccount(await services.database(), id);
      const { login } = await services.allegro();
      const device = await login.start(id);
      // To stderr: with --json the link must still be seen.
      output.note(`Open this link as the seller of "${id}" and agree:\n\n  ${device.verificationUriComplete}\n`);
      output.note(`Code: ${device.userCode}. Asked for: ${ALLEGRO_SCOPES.join(', ')}`);
      output.note(`Waiting until ${device.expiresAt.toISOString()} …`);
      const seller = await login.finish(id, device);
      output.print(`"${id}" is logged in as ${seller.login} (${seller.sellerId}).`);
      output.json({ accountId: id, ...seller });
      return 0;
    },
  });
}

async function readToken(stdin: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > LONGEST_TOKEN) break;
  }
  const token = text.trim();
  // What was read is never shown.
  if (token === '') throw new UsageError('--refresh-token-stdin: nothing was read from stdin');
  if (/\s/.test(token) || token.length > LONGEST_TOKEN) {
    throw new UsageError('--refresh-token-stdin: expected one refresh token, without white space');
  }
  return token;
}
