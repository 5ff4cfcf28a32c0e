/** How an offer can get a number ≥ 1: alone, with others by one number for all, or with others by a number for each. */
export type WriteRoute = 'single' | 'command' | 'bulk';
type ByRoute<Value> = Readonly<Record<WriteRoute, Value>>;

interface Writable {
  readonly target: number;
}

export interface RouteQuestion {
  /** Requests: of one single write, and of a command with all that is asked about it afterwards. */
  readonly costs: ByRoute<number>;
  /** Offers in one command. `bulk` 0: there are no bulk commands. */
  readonly most: { readonly command: number; readonly bulk: number };
  /** Offers that the seller's quotas have room for. */
  readonly room: ByRoute<number>;
}

export interface RoutePlan<Row> {
  readonly singles: readonly Row[];
  /** Each of one number. */
  readonly commands: readonly (readonly Row[])[];
  readonly bulks: readonly (readonly Row[])[];
}

/** Rows by route, not divided into commands yet. */
type Division<Row> = ByRoute<readonly Row[]>;

/**
 * The way for each row that takes the fewest requests in all, and no more than one rule for all rows would take (each
 * alone, all by command, all in bulk). What a route has no room for goes another way while that one has room; what none
 * has room for waits where it is.
 */
export function chooseRoutes<Row extends Writable>(rows: readonly Row[], question: RouteQuestion): RoutePlan<Row> {
  const plans = divisionsToTry(groupByTarget(rows), question).map((division) => {
    const plan = toPlan(keepWithinRoom(division, question), question);
    return { plan, requests: countRequests(plan, question.costs) };
  });
  return plans.reduce((best, next) => (next.requests < best.requests ? next : best)).plan;
}

export function countRequests({ singles, commands, bulks }: RoutePlan<unknown>, costs: ByRoute<number>): number {
  return singles.length * costs.single + commands.length * costs.command + bulks.length * costs.bulk;
}

/** Rows of one number each, small groups first. */
function groupByTarget<Row extends Writable>(rows: readonly Row[]): Row[][] {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.target);
    if (group === undefined) groups.set(row.target, [row]);
    else group.push(row);
  }
  return [...groups.values()].sort((a, b) => a.length - b.length);
}

/**
 * The cheapest division if there were room for everything, and the plain ones, one of which may be cheaper where there is
 * not. In each of them rows that make no full command still go alone where that is cheaper (`toPlan`).
 */
function divisionsToTry<Row>(
  groups: readonly (readonly Row[])[],
  question: RouteQuestion,
): [Division<Row>, ...Division<Row>[]] {
  const inBulk = (count: number): Division<Row> => ({
    single: [],
    command: groups.slice(count).flat(),
    bulk: groups.slice(0, count).flat(),
  });
  const alone: Division<Row> = { single: groups.flat(), command: [], bulk: [] };
  if (question.most.bulk === 0) return [inBulk(0), alone];
  return [inBulk(cheapestPool(groups, question)), inBulk(0), inBulk(groups.length), alone];
}

/** How many of the smallest groups are cheapest in bulk commands; large ones never are. */
function cheapestPool(groups: readonly (readonly unknown[])[], { costs, most }: RouteQuestion): number {
  const cost = (rows: number, route: 'command' | 'bulk'): number => {
    const whole = Math.floor(rows / most[route]);
    const costOf = (chunk: number): number => Math.min(costs[route], chunk * costs.single);
    return whole * costOf(most[route]) + costOf(rows % most[route]);
  };
  let aside = groups.reduce((sum, group) => sum + cost(group.length, 'command'), 0);
  let pooledRows = 0;
  let best = { count: 0, requests: aside };
  for (const [index, group] of groups.entries()) {
    aside -= cost(group.length, 'command');
    pooledRows += group.length;
    const requests = aside + cost(pooledRows, 'bulk');
    if (requests < best.requests) best = { count: index + 1, requests };
  }
  return best.count;
}

/** Where what a route has no room for goes. */
const INSTEAD_OF: Readonly<Record<WriteRoute, readonly WriteRoute[]>> = {
  command: ['bulk', 'single'],
  bulk: ['single', 'command'],
  single: ['bulk', 'command'],
};

/** Takes from the small groups first: a large one is worth the most in one command. */
function keepWithinRoom<Row>(division: Division<Row>, { most, room }: RouteQuestion): Division<Row> {
  const kept = { single: [...division.single], command: [...division.command], bulk: [...division.bulk] };
  const left = (route: WriteRoute): number =>
    route === 'bulk' && most.bulk === 0 ? 0 : room[route] - kept[route].length;
  for (const from of ['command', 'bulk', 'single'] as const) {
    for (const to of INSTEAD_OF[from]) {
      const count = Math.min(-left(from), left(to));
      if (count > 0) kept[to].push(...kept[from].splice(0, count));
    }
  }
  return kept;
}

/** Divides rows into commands; those that would make too small a one go alone while there is room for that. */
function toPlan<Row extends Writable>(division: Division<Row>, { costs, most, room }: RouteQuestion): RoutePlan<Row> {
  const singles = [...division.single];
  const worthwhile = (route: 'command' | 'bulk', rows: readonly Row[]): (readonly Row[])[] =>
    chunksOf(rows, most[route]).filter((chunk) => {
      const isCheaperAlone = chunk.length * costs.single <= costs[route];
      if (!isCheaperAlone || singles.length + chunk.length > room.single) return true;
      singles.push(...chunk);
      return false;
    });
  const commands = groupByTarget(division.command).flatMap((group) => worthwhile('command', group));
  return { singles, commands, bulks: worthwhile('bulk', division.bulk) };
}

function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
