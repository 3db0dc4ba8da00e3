/** How an operation goes over a group. */
export interface RolloutPlan {
  /** TVs at once */
  atOnce: number
  /** so many first, alone; the others only if these went well */
  canary: number
  /** in %: with more failures nothing new is begun */
  stopAt: number
}

/**
 * Does something for each of a list, each once, and tells every outcome. What was not begun is left out of the outcomes.
 *
 * @returns those that were not begun, because too many failed
 */
export async function rollOut<T>(
  targets: readonly T[],
  { atOnce, canary, stopAt }: RolloutPlan,
  work: (target: T) => Promise<boolean>,
  signal: AbortSignal
): Promise<T[]> {
  let failures = 0
  let next = 0
  const isStopped = (of: number): boolean => failures * 100 > stopAt * of

  async function phase(end: number): Promise<void> {
    const worker = async (): Promise<void> => {
      while (next < end && !isStopped(end) && !signal.aborted) if (!(await work(targets[next++]!))) failures++
    }
    await Promise.all(Array.from({ length: Math.min(atOnce, end - next) }, worker))
  }

  if (canary > 0) {
    await phase(Math.min(canary, targets.length))
    if (isStopped(next)) return targets.slice(next)
  }
  await phase(targets.length)
  return targets.slice(next)
}
