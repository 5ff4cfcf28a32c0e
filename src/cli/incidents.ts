import type { Command } from 'commander';
import { z } from 'zod';
import { listIncidents, readIncident, resolveIncident, type Incident } from '../storage/incidents.js';
import { requireAccounts } from './account-lookup.js';
import { addCommand, addGroup, type RunCommand } from './command.js';
import { CommandFailed, UsageError } from './failures.js';
import { accountId, flag, wholeNumber } from './inputs.js';

const incidentNumber = z.string().regex(/^\d{1,18}$/, 'expected the number of an incident, as "incidents" lists them');

export function registerIncidents(program: Command, runCommand: RunCommand): void {
  const group = addGroup(program, {
    name: 'incidents',
    summary: 'problems that a person should know of',
    example: 'incidents',
  });
  addCommand(group, runCommand, {
    usage: 'list',
    summary: 'list open incidents; this is what "incidents" alone does',
    isDefault: true,
    options: [
      { flags: '--all', description: 'those that are over, too' },
      { flags: '--account <id>', description: 'only of this account' },
      { flags: '--limit <incidents>', description: 'at most this many, the newest first; default: 100' },
    ],
    examples: ['incidents', 'incidents list --all --account shop-1'],
    input: z.object({
      all: flag,
      account: accountId.optional(),
      limit: wholeNumber({ min: 1, max: 100_000 }).default(100),
    }),
    needs: ['database'],
    run: async ({ all, account, limit }, { services, output }) => {
      const db = await services.database();
      await requireAccounts(db, account === undefined ? [] : [account]);
      const incidents = await listIncidents(db, {
        limit,
        ...(all ? {} : { state: 'open' }),
        ...(account === undefined ? {} : { accountId: account }),
      });
      if (incidents.length === 0) output.print('No open incidents.');
      else
        output.table(
          ['number', 'state', 'since', 'times', 'account', 'offer', 'class', 'problem'],
          incidents.map(toRow),
        );
      output.json(incidents);
      return incidents.some(({ state }) => state === 'open') ? 1 : 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'show <number>',
    summary: 'show one incident with everything that is known of it',
    examples: ['incidents show 12'],
    input: z.object({ number: incidentNumber }),
    needs: ['database'],
    run: async ({ number }, { services, output }) => {
      const incident = await readIncident(await services.database(), number);
      if (incident === null) throw new UsageError(`<number>: there is no incident ${number}`);
      output.table(['incident', incident.id], describe(incident));
      output.json(incident);
      return 0;
    },
  });
  addCommand(group, runCommand, {
    usage: 'resolve <number>',
    summary: 'close an incident by hand; it opens again when the problem is met again',
    examples: ['incidents resolve 12'],
    input: z.object({ number: incidentNumber }),
    needs: ['database'],
    run: async ({ number }, { services, output }) => {
      const db = await services.database();
      if ((await readIncident(db, number)) === null) throw new UsageError(`<number>: there is no incident ${number}`);
      const resolved = await resolveIncident(db, number);
      if (resolved === null) throw new CommandFailed(`incident ${number} is over already`);
      output.print(`Incident ${number} is resolved: ${resolved.title}`);
      output.json(resolved);
      return 0;
    },
  });
}

function toRow(incident: Incident): string[] {
  return [
    incident.id,
    incident.state,
    incident.openedAt.toISOString(),
    String(incident.occurrences),
    incident.accountId ?? '-',
    incident.offerId ?? '-',
    incident.class,
    incident.title,
  ];
}

function describe(incident: Incident): string[][] {
  return [
    ['problem', incident.title],
    ['class', incident.class],
    ['state', incident.state],
    ['account', incident.accountId ?? '-'],
    ['offer', incident.offerId ?? '-'],
    ['run', incident.runId ?? '-'],
    ['times', String(incident.occurrences)],
    ['opened', incident.openedAt.toISOString()],
    ['last seen', incident.lastSeenAt.toISOString()],
    ['resolved', incident.resolvedAt?.toISOString() ?? 'no'],
    ...Object.entries(incident.details).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  ];
}
