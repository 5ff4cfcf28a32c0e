import type { Command } from 'commander';
import { z } from 'zod';
import {
  changeAccount,
  listAccounts,
  pauseAccount,
  resumeAccount,
  type AccountChanges,
  type AccountRecord,
} from '../storage/accounts.js';
import { requireAccount } from './account-lookup.js';
import { removeAccount } from './account-removal.js';
import { addCommand, addGroup, type RunCommand } from './command.js';
import { UsageError } from './failures.js';
import { accountId, nothing, oneOf, onOff, reason, wholeNumber } from './inputs.js';
import type { Output } from './output.js';

const MODE = '--mode <preview|live>';
const mode = oneOf(['preview', 'live']);
const onlyId = z.object({ id: accountId });

/** @returns the group, for the commands that live in files of their own */
export function registerAccounts(program: Command, runCommand: RunCommand): Command {
  const group = addGroup(program, {
    name: 'accounts',
    summary: 'the Allegro accounts whose offers are kept in sync',
    example: 'accounts list',
  });
  addCommand(group, runCommand, {
    usage: 'list',
    summary: 'list all accounts',
    examples: ['accounts list'],
    input: nothing,
    needs: ['database'],
    run: async (_input, { services, output }) => {
      const accounts = await listAccounts(await services.database());
      if (accounts.length === 0) output.print('No accounts yet. Add one with: allegro-stock-sync accounts add');
      else output.table(['account', 'name', 'mode', 'state', 'seller', 'last complete run'], accounts.map(toRow));
      output.json(accounts);
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'show <id>',
    summary: 'show one account with its settings',
    examples: ['accounts show shop-1'],
    input: onlyId,
    needs: ['database'],
    run: async ({ id }, { services, output }) => {
      showAccount(await requireAccount(await services.database(), id), output);
      return 0;
    },
  });
  registerSettings(group, runCommand);
  registerPause(group, runCommand);
  addCommand(group, runCommand, {
    usage: 'remove <id>',
    summary: 'delete an account with its tokens, runs and history; its offers at Allegro stay as they are',
    details: 'A run of the account that is at work is stopped first.',
    examples: ['accounts remove shop-1'],
    input: onlyId,
    needs: ['database', 'temporal'],
    run: async ({ id }, context) => removeAccount(id, context),
  });
  return group;
}

function registerSettings(group: Command, runCommand: RunCommand): void {
  addCommand(group, runCommand, {
    usage: 'set <id>',
    summary: 'change settings of an account; the next run uses them',
    options: [
      { flags: '--name <name>', description: 'as it is shown in messages' },
      { flags: MODE, description: 'preview shows what live would write' },
      { flags: '--buffer <pieces>', description: 'kept back from every SKU' },
      { flags: '--max <pieces|none>', description: 'most pieces an offer shows' },
      { flags: '--raise <on|off>', description: 'write higher numbers' },
      { flags: '--lower <on|off>', description: 'write lower numbers' },
      { flags: '--at-zero <end|one|keep>', description: 'what happens to an offer whose stock is 0' },
      { flags: '--reactivate <on|off>', description: 'bring back offers that ended for lack of stock' },
    ],
    examples: ['accounts set shop-1 --mode live --buffer 2'],
    input: z.object({
      id: accountId,
      name: z.string().trim().min(1, 'is empty').max(200).optional(),
      mode: mode.optional(),
      buffer: wholeNumber({ min: 0, max: 99_999 }).optional(),
      max: z
        .union(
          [z.literal('none').transform(() => null), wholeNumber({ min: 1, max: 99_999 })],
          'expected "none" or a whole number from 1 to 99999',
        )
        .optional(),
      raise: onOff.optional(),
      lower: onOff.optional(),
      atZero: oneOf(['end', 'one', 'keep']).optional(),
      reactivate: onOff.optional(),
    }),
    needs: ['database'],
    run: async ({ id, ...given }, { services, output }) => {
      const changes = withoutUndefined(given);
      if (Object.keys(changes).length === 0) throw new UsageError('name at least one setting, such as --mode live');
      const db = await services.database();
      await requireAccount(db, id);
      await changeAccount(db, id, changes);
      const account = await requireAccount(db, id);
      showAccount(account, output);
      if (changes.mode === 'live' && account.sellerId === null) {
        output.warn(`"${id}" is not authorized yet: allegro-stock-sync accounts authorize ${id}`);
      }
      return 0;
    },
  });
}

function registerPause(group: Command, runCommand: RunCommand): void {
  addCommand(group, runCommand, {
    usage: 'pause <id>',
    summary: 'leave an account out of all runs until "accounts resume"',
    options: [{ flags: '--reason <text>', description: 'why (required)' }],
    examples: ['accounts pause shop-1 --reason "moving the warehouse"'],
    input: z.object({ id: accountId, reason: z.string('is required').pipe(reason) }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const db = await services.database();
      await requireAccount(db, input.id);
      await pauseAccount(db, input.id, input.reason);
      output.print(`"${input.id}" is paused: ${input.reason}`);
      output.json(await requireAccount(db, input.id));
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'resume <id>',
    summary: 'take a paused account into the runs again',
    examples: ['accounts resume shop-1'],
    input: onlyId,
    needs: ['database'],
    run: async ({ id }, { services, output }) => {
      const db = await services.database();
      const before = await requireAccount(db, id);
      await resumeAccount(db, id);
      output.print(before.pausedReason === null ? `"${id}" was not paused.` : `"${id}" takes part in the runs again.`);
      output.json(await requireAccount(db, id));
      return 0;
    },
  });
}

function withoutUndefined(changes: {
  [Name in keyof AccountChanges]?: AccountChanges[Name] | undefined;
}): AccountChanges {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}

function stateOf(account: AccountRecord): string {
  if (account.pausedReason !== null) return `paused: ${account.pausedReason}`;
  if (account.sellerId === null) return account.hasTokens ? 'not identified yet' : 'not authorized';
  return 'active';
}

function toRow(account: AccountRecord): string[] {
  return [
    account.accountId,
    account.name,
    account.mode,
    stateOf(account),
    account.sellerLogin ?? '-',
    account.lastCompleteAt?.toISOString() ?? 'never',
  ];
}

function onOrOff(value: boolean): string {
  return value ? 'on' : 'off';
}

function showAccount(account: AccountRecord, output: Output): void {
  output.table(
    ['account', account.accountId],
    [
      ['name', account.name],
      ['state', stateOf(account)],
      ['mode', account.mode],
      ['seller', account.sellerId === null ? '-' : `${account.sellerLogin ?? '?'} (${account.sellerId})`],
      ['buffer', String(account.buffer)],
      ['max', account.max === null ? 'none' : String(account.max)],
      ['raise', onOrOff(account.raise)],
      ['lower', onOrOff(account.lower)],
      ['at zero', account.atZero],
      ['reactivate', onOrOff(account.reactivate)],
      ['added', account.createdAt.toISOString()],
      ['live since', account.liveSince?.toISOString() ?? 'never'],
      ['last complete run', account.lastCompleteAt?.toISOString() ?? 'never'],
    ],
  );
  output.json(account);
}
