/**
 * Work that is never done twice at the same time: who asks while it is being done hears the end of the next one, and all
 * who ask meanwhile hear the same.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let now: Promise<void> | undefined
  let next: Promise<void> | undefined
  return function run(): Promise<void> {
    if (now !== undefined) {
      next ??= now.then(run, run)
      return next
    }
    next = undefined
    now = work().finally(() => {
      now = undefined
    })
    return now
  }
}
