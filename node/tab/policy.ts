import { refusal, type TaskType, type WorkerPolicy } from '../../scheduler/index.ts'

/** What the person at the browser gives. */
export interface TabLimits {
  /** programs that run at the same time */
  cores: number
  /** of the time of these cores, 0.05 to 1 */
  share: number
  /** why nothing is taken now; what runs is finished */
  pause?: Pause
}

/** The computer runs on its battery, or nobody sees the page. */
export type Pause = 'battery' | 'hidden'

/** Types whose programs are JavaScript alone: no WebAssembly of strangers, no Python. */
export const TAB_TYPES: readonly TaskType[] = ['map', 'filter', 'range_reduce', 'map_reduce']
/** A browser has no limit for the memory of a Worker, so little is offered: what jobs ask for that say nothing, and their data. */
export const TAB_MEMORY_MB = 320
const MAX_SLICE_MS = 60_000
/** So long it may work at once, which the pause after makes up for: many slices, and not so long that it gets warm. */
const AT_ONCE_MS = 5_000

/**
 * The rules of a tab: as many programs as cores, and after what was more than its share of the time a pause. `now`: ms,
 * monotonic.
 */
export function createTabPolicy(
  limits: TabLimits,
  now: () => number
): WorkerPolicy & { update(limits: TabLimits): void } {
  let current = limits
  let seenMs = 0
  let at = now()
  /** ms of work that may still be done without a pause */
  let left = AT_ONCE_MS

  const closed = (): string | undefined =>
    current.pause != null
      ? `this browser pauses (${current.pause})`
      : current.share < 1 && left <= 0
        ? 'this browser pauses, for it lends a share of its time'
        : undefined
  return {
    get slots() {
      return current.cores
    },
    maxProcesses: Number.POSITIVE_INFINITY,
    memoryMb: TAB_MEMORY_MB,
    maxSliceMs: MAX_SLICE_MS,
    terms: { multiplier: 1, minPriceMicro: 0, types: [...TAB_TYPES], tags: ['browser'] },
    admit: request =>
      closed() ??
      refusal(
        { allowed: [], denied: [], types: [...TAB_TYPES], minPriceMicro: 0, memoryMb: TAB_MEMORY_MB },
        request
      ),
    trusted: () => false,
    closed,
    observe(busyMs) {
      const time = now()
      const { cores, share } = current
      left = Math.min(AT_ONCE_MS, left + (time - at) * cores * share - (busyMs - seenMs))
      at = time
      seenMs = busyMs
    },
    update(changed) {
      current = changed
    }
  }
}
