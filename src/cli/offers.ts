import type { Command } from 'commander';
import { z } from 'zod';
import { excludeOffer, includeOffer, isKnownOffer } from '../storage/exclusions.js';
import { requireAccount } from './account-lookup.js';
import { addCommand, addGroup, type RunCommand } from './command.js';
import { UsageError } from './failures.js';
import { accountId, offerId, reason } from './inputs.js';

const account = z.string('is required').pipe(accountId);

export function registerOffers(program: Command, runCommand: RunCommand): void {
  const group = addGroup(program, {
    name: 'offers',
    summary: 'single offers that are left out of the sync',
    example: 'offers exclude 7680123456 --account shop-1',
  });
  addCommand(group, runCommand, {
    usage: 'exclude <offer-id>',
    summary: 'never write to this offer; the next run counts it as skipped',
    options: [
      { flags: '--account <id>', description: 'whose offer it is (required)' },
      { flags: '--reason <text>', description: 'for whoever wonders later' },
    ],
    examples: ['offers exclude 7680123456 --account shop-1 --reason "sold by hand"'],
    input: z.object({ offerId, account, reason: reason.optional() }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const db = await services.database();
      await requireAccount(db, input.account, '--account');
      const isKnown = await isKnownOffer(db, input.account, input.offerId);
      await excludeOffer(db, { accountId: input.account, offerId: input.offerId, reason: input.reason ?? null });
      output.print(`Offer ${input.offerId} of "${input.account}" is left out from now on.`);
      if (!isKnown)
        output.warn(`no run has seen an offer ${input.offerId} in "${input.account}" yet; check the number`);
      output.json({ accountId: input.account, offerId: input.offerId, isExcluded: true, isKnown });
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'include <offer-id>',
    summary: 'take an excluded offer into the sync again',
    options: [{ flags: '--account <id>', description: 'whose offer it is (required)' }],
    examples: ['offers include 7680123456 --account shop-1'],
    input: z.object({ offerId, account }),
    needs: ['database'],
    run: async (input, { services, output }) => {
      const db = await services.database();
      await requireAccount(db, input.account, '--account');
      if (!(await includeOffer(db, input.account, input.offerId))) {
        throw new UsageError(`<offer-id>: offer ${input.offerId} of "${input.account}" is not excluded`);
      }
      output.print(`Offer ${input.offerId} of "${input.account}" takes part again.`);
      output.json({ accountId: input.account, offerId: input.offerId, isExcluded: false });
      return 0;
    },
  });
}
