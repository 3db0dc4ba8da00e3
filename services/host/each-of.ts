/** Does `work` for each of `items`, at most so many at once. What one throws ends it: what is under way ends by itself, and no other begins. */
export async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>
): Promise<void> {
  // all of them take from the same, which is closed for all by what one throws
  const waiting = (function* () {
    yield* items
  })()
  const worker = async (): Promise<void> => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
