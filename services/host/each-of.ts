/** Does `work` for each of `items`, at most so many at once. What one throws ends it; the others under way end by themselves. */
export async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>
): Promise<void> {
  const waiting = items.values()
  // all of them take from the same
  const worker = async (): Promise<void> => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
