import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  chooseRoutes,
  countRequests,
  type RoutePlan,
  type RouteQuestion,
  type WriteRoute,
} from '../../../src/domain/write-routes.js';

interface Row {
  readonly id: number;
  readonly target: number;
}

const ROUTES: readonly WriteRoute[] = ['single', 'command', 'bulk'];
const RUNS = { numRuns: 1000, seed: 20261125 };

/** Few numbers, so that some are shared by many; sizes of commands small enough to be filled. */
const rows = fc
  .array(fc.record({ target: fc.nat(12), count: fc.oneof(fc.nat(3), fc.nat(40)) }), { maxLength: 12 })
  .map((parts) => parts.flatMap(({ target, count }) => Array.from({ length: count }, () => 1 + target)))
  .map((targets) => targets.map((target, id): Row => ({ id, target })));
const some = fc.oneof(fc.constant(Infinity), fc.nat(60), fc.nat(8));
const question: fc.Arbitrary<RouteQuestion> = fc.record({
  costs: fc.record({ single: fc.integer({ min: 1, max: 2 }), command: fc.nat(9), bulk: fc.nat(9) }).map((costs) => ({
    single: costs.single,
    command: costs.command + 1,
    bulk: costs.bulk + 1,
  })),
  most: fc.record({ command: fc.integer({ min: 2, max: 30 }), bulk: fc.constantFrom(0, 2, 5, 25) }),
  room: fc.record({ single: some, command: some, bulk: some }),
});

function sizes({ singles, commands, bulks }: RoutePlan<Row>): Record<WriteRoute, number> {
  return { single: singles.length, command: commands.flat().length, bulk: bulks.flat().length };
}

/** Requests of a plain rule; null: it does not fit into the quotas. */
function costOfRule(all: readonly Row[], { costs, most, room }: RouteQuestion, rule: Rule): number | null {
  const counts = new Map<number, number>();
  for (const { target } of all) counts.set(target, (counts.get(target) ?? 0) + 1);
  const used: Record<WriteRoute, number> = { single: 0, command: 0, bulk: 0 };
  let requests = 0;
  for (const count of counts.values()) {
    const route = count >= rule.commandFrom ? 'command' : rule.others;
    used[route] += count;
    if (route === 'command') requests += Math.ceil(count / most.command) * costs.command;
    if (route === 'single') requests += count * costs.single;
  }
  if (used.bulk > 0 && most.bulk === 0) return null;
  requests += used.bulk === 0 ? 0 : Math.ceil(used.bulk / most.bulk) * costs.bulk;
  return ROUTES.every((route) => used[route] <= room[route]) ? requests : null;
}

interface Rule {
  /** Offers of one number from which they go by command. */
  readonly commandFrom: number;
  readonly others: 'single' | 'bulk';
}

/** Each alone, all by command, all in bulk. */
const PLAIN_RULES: readonly Rule[] = [
  { commandFrom: Infinity, others: 'single' },
  { commandFrom: 1, others: 'single' },
  { commandFrom: Infinity, others: 'bulk' },
];
/** From so many offers of one number up. */
const THRESHOLDS: readonly Rule[] = [2, 3, 5, 6, 10, 25].flatMap((commandFrom) => [
  { commandFrom, others: 'single' as const },
  { commandFrom, others: 'bulk' as const },
]);

test('every row has exactly one way, and one that can carry it', () => {
  fc.assert(
    fc.property(rows, question, (all, asked) => {
      const plan = chooseRoutes(all, asked);
      const placed = [...plan.singles, ...plan.commands.flat(), ...plan.bulks.flat()];
      expect(placed.map(({ id }) => id).sort((a, b) => a - b)).toEqual(all.map(({ id }) => id));
      for (const command of plan.commands) {
        expect(new Set(command.map(({ target }) => target)).size).toBe(1);
        expect(command.length).toBeLessThanOrEqual(asked.most.command);
      }
      for (const bulk of plan.bulks) expect(bulk.length).toBeLessThanOrEqual(asked.most.bulk);
      if (asked.most.bulk === 0) expect(plan.bulks).toEqual([]);
    }),
    RUNS,
  );
});

test('no plain rule that fits into the quotas takes fewer requests', () => {
  fc.assert(
    fc.property(rows, question, (all, asked) => {
      const requests = countRequests(chooseRoutes(all, asked), asked.costs);
      for (const rule of PLAIN_RULES) {
        const other = costOfRule(all, asked, rule);
        if (other !== null) expect(requests).toBeLessThanOrEqual(other);
      }
    }),
    RUNS,
  );
});

test('with room for everything, no rule of "commands from n offers up" takes fewer requests either', () => {
  const roomy = question.map((asked) => ({ ...asked, room: { single: Infinity, command: Infinity, bulk: Infinity } }));
  fc.assert(
    fc.property(rows, roomy, (all, asked) => {
      const requests = countRequests(chooseRoutes(all, asked), asked.costs);
      for (const rule of [...PLAIN_RULES, ...THRESHOLDS]) {
        expect(requests).toBeLessThanOrEqual(costOfRule(all, asked, rule) ?? Infinity);
      }
    }),
    RUNS,
  );
});

test('no quota is exceeded while another way has room', () => {
  fc.assert(
    fc.property(rows, question, (all, asked) => {
      const used = sizes(chooseRoutes(all, asked));
      const left = (route: WriteRoute): number =>
        route === 'bulk' && asked.most.bulk === 0 ? 0 : asked.room[route] - used[route];
      const exceeded = ROUTES.filter((route) => used[route] > Math.max(0, asked.room[route]));
      if (exceeded.length === 0) return;
      expect(ROUTES.filter((route) => left(route) > 0)).toEqual([]);
    }),
    RUNS,
  );
});

test('small groups fill up bulk commands instead of taking commands of their own', () => {
  const asked: RouteQuestion = {
    costs: { single: 1, command: 5, bulk: 5 },
    most: { command: 1000, bulk: 25 },
    room: { single: Infinity, command: Infinity, bulk: Infinity },
  };
  const all = Array.from({ length: 25 }, (_, id): Row => ({ id, target: id < 10 ? 1 : id }));

  expect(sizes(chooseRoutes(all, asked))).toEqual({ single: 0, command: 0, bulk: 25 });
  expect(countRequests(chooseRoutes(all, asked), asked.costs)).toBe(5);
});

test('without room for single writes even one offer gets a command', () => {
  const asked: RouteQuestion = {
    costs: { single: 1, command: 5, bulk: 5 },
    most: { command: 1000, bulk: 0 },
    room: { single: 1, command: 100, bulk: 0 },
  };
  const all = [3, 4].map((target, id): Row => ({ id, target }));

  expect(sizes(chooseRoutes(all, asked))).toEqual({ single: 1, command: 1, bulk: 0 });
});
