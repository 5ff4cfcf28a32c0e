import { setTimeout as sleep } from 'node:timers/promises';

import type { Print } from '../src/local/system.js';
import type { DealtFault, FaultKind, Scene } from './fault.js';
import { LONG_BLOCK } from './faults-of-the-marketplace.js';
import type { Random } from './random.js';
import type { RecoveryWatch } from './recovery.js';

export interface DealerOptions {
  readonly scene: Scene;
  readonly draws: (label: string) => Random;
  readonly kinds: readonly FaultKind[];
  readonly recovery: RecoveryWatch;
  readonly minutes: number;
  readonly print: Print;
}

export interface Dealt {
  readonly faults: readonly DealtFault[];
  /** How long each recovery took, by what was dealt before it. */
  readonly recoveries: readonly { readonly after: string; readonly ms: number }[];
  /** Where work did not go on within the bound. */
  readonly stuck: readonly string[];
}

const TWO_AT_ONCE = 0.4;
const OFFSET_MS = { from: 0, to: 1_500 } as const;
const CALM_MS = { from: 200, to: 1_500 } as const;
/** Everything that does not stop work is dealt once within this, beside the rest. */
const CYCLE_MS = 110_000;
/** A long block is dealt once in so many cycles, and in any case at the end. */
const LONG_BLOCK_EVERY = 6;
/** A minute and jitter, counted from when the run hears of it: what keeps it from hearing prolongs it. */
const LONG_BLOCK_MS = 80_000;
const ROUNDS_TO_MAKE_UP = 3;

/**
 * Deals faults for so many minutes, every kind at least once. Faults that stop work come in rounds of one or two, and
 * after each round every account must go on; the others come beside them.
 */
export async function dealFaults(options: DealerOptions): Promise<Dealt> {
  const { scene, draws, kinds, recovery, print } = options;
  const faults: DealtFault[] = [];
  const recoveries: { after: string; ms: number }[] = [];
  const stuck: string[] = [];
  const until = Date.now() + options.minutes * 60_000;
  const over = new AbortController();
  const counts = new Map<string, number>();
  let blockedUntil = 0;

  async function deal(kind: FaultKind): Promise<void> {
    const from = Date.now();
    const count = 1 + (counts.get(kind.name) ?? 0);
    counts.set(kind.name, count);
    print(`fault: ${kind.name}`);
    const hits = await kind.deal(scene, draws(`${kind.name} ${count}`));
    faults.push({ name: kind.name, part: kind.part, from, until: Date.now(), hits });
  }

  async function dealRounds(): Promise<void> {
    const random = draws('rounds');
    let left: FaultKind[] = [];
    const isAllDealt = (): boolean => {
      const dealt = new Set(faults.map(({ name }) => name));
      return kinds.every(({ stopsWork, name }) => !stopsWork || dealt.has(name));
    };
    while (Date.now() < until || !isAllDealt()) {
      if (left.length === 0) left = random.shuffled(kinds.filter(({ stopsWork }) => stopsWork));
      const round = takeRound(left, random);
      await Promise.all(
        round
          .map((kind) => ({ kind, afterMs: random.between(OFFSET_MS.from, OFFSET_MS.to) }))
          .map(async ({ kind, afterMs }) => {
            await sleep(afterMs);
            await deal(kind);
          }),
      );
      await recover(round.map(({ name }) => name).join(' + '));
      await sleep(random.between(CALM_MS.from, CALM_MS.to));
    }
  }

  async function recover(after: string): Promise<void> {
    const wasBlocked = Date.now() < blockedUntil;
    const measured = await recovery.measure();
    // Whoever was told to wait a minute by the marketplace does so.
    if (wasBlocked || Date.now() < blockedUntil) return;
    recoveries.push({ after, ms: measured.ms });
    for (const one of measured.stuck) {
      stuck.push(`after ${after}: ${one}`);
      print(`STUCK after ${after}: ${one}`);
    }
    print(`work goes on after ${(measured.ms / 1000).toFixed(1)} s (${after})`);
  }

  async function dealBeside(): Promise<void> {
    const random = draws('beside');
    for (let cycle = 1; Date.now() < until; cycle += 1) {
      const beside = random.shuffled(kinds.filter(({ stopsWork }) => !stopsWork));
      const everyMs = CYCLE_MS / beside.length;
      const dealing: Promise<void>[] = [];
      for (const kind of beside) {
        // What is over is only made up for.
        if (over.signal.aborted && counts.has(kind.name)) continue;
        const dealt = deal(kind);
        // Told by the await below; until then it must not end the process.
        dealt.catch(() => undefined);
        dealing.push(dealt);
        await sleep(everyMs * random.between(0.6, 1.2), undefined, { signal: over.signal }).catch(() => undefined);
      }
      await Promise.all(dealing);
      if (cycle % LONG_BLOCK_EVERY === 0) await dealLongBlock();
    }
  }

  /** What nothing has met was dealt in vain: there was nothing to do just then, or nobody to do it. */
  async function makeUpForUnmet(): Promise<void> {
    for (let round = 0; round < ROUNDS_TO_MAKE_UP; round += 1) {
      const met = new Set(faults.filter(({ hits }) => hits > 0).map(({ name }) => name));
      const { requestsByRoute } = await scene.application.admin.report();
      const asked = kinds.filter(
        ({ name, ifAsked }) => !met.has(name) && (ifAsked === undefined || ifAsked in requestsByRoute),
      );
      for (const kind of asked) await deal(kind);
    }
  }

  async function dealLongBlock(): Promise<void> {
    blockedUntil = Date.now() + LONG_BLOCK_MS;
    await deal(LONG_BLOCK);
    blockedUntil = Date.now() + LONG_BLOCK_MS;
  }

  const beside = dealBeside();
  beside.catch(() => undefined);
  await dealRounds();
  over.abort();
  await beside;
  await makeUpForUnmet();
  await dealLongBlock();
  return { faults, recoveries, stuck };
}

/** One, or two of different parts. */
function takeRound(left: FaultKind[], random: Random): FaultKind[] {
  const first = left.shift();
  if (first === undefined) return [];
  if (!random.chance(TWO_AT_ONCE)) return [first];
  const index = left.findIndex(({ part }) => part !== first.part);
  return index === -1 ? [first] : [first, ...left.splice(index, 1)];
}
