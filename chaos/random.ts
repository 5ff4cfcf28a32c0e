import { createRandom, hashText } from '../simulator/random.js';

/** Draws that are the same for the same seed. */
export interface Random {
  /** From `from` up to, not including, `to`. */
  between(from: number, to: number): number;
  whole(from: number, to: number): number;
  chance(probability: number): boolean;
  /** undefined: there is nothing to choose from. */
  pick<Item>(items: readonly Item[]): Item | undefined;
  shuffled<Item>(items: readonly Item[]): Item[];
}

function createDraws(seed: number): Random {
  const random = createRandom(seed);
  const whole = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
  return {
    between: (from, to) => from + random() * (to - from),
    whole,
    chance: (probability) => random() < probability,
    pick: (items) => items[Math.floor(random() * items.length)],
    shuffled(items) {
      const left = [...items];
      return items.flatMap(() => left.splice(whole(0, left.length - 1), 1));
    },
  };
}

/** Draws of their own for each label, so that what happens in one place does not change what is drawn in another. */
export function drawsOf(seed: number): (label: string) => Random {
  return (label) => createDraws(hashText(`${seed} ${label}`));
}
