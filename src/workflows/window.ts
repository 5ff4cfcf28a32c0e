/** Runs jobs with at most `size` at work; a slow one delays only the slot it holds. Rejects with the first failure. */
export async function runInWindow<Item>(
  items: readonly Item[],
  size: number,
  job: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await job(item);
  };
  await Promise.all(Array.from({ length: Math.min(size, items.length) }, lane));
}
