import type { Chains } from '../delivery/chains.ts'
import { pause } from '../time/pause.ts'
import type { DeviceRow, Series } from './series.ts'

/** Who follows hears at least this often, so that a connection which is gone is noticed. */
const ALIVE_MS = 5_000
/** Changes are told together, for eyes and not for programs. */
const TOGETHER_MS = 100

/** Where rows of devices come from, and which have changed after so many changes. */
export type Rows = Pick<Series, 'devices' | 'changes' | 'changed'>

export interface SeenInit {
  series: Series
  /** devices beside those of the logs */
  others: Rows
  /** those of them that are some board's now */
  standing(rows: readonly DeviceRow[]): DeviceRow[]
  chains: Chains
  signal: AbortSignal
  /** why the history does not go on; undefined: it does */
  onError(error: Error | undefined): void
}

/** Reads the logs into the series as they grow, and tells which devices have changed. */
export function createSeen({ series, others, standing, chains, signal, onError }: SeenInit) {
  const sources: readonly Rows[] = [series, others]
  let reading: Promise<void> | undefined
  let isMore = false
  /** ends with the pass that has not begun yet */
  let next = Promise.withResolvers<void>()
  let news = Promise.withResolvers<void>()

  async function readOn(): Promise<void> {
    do {
      isMore = false
      const pass = next
      next = Promise.withResolvers()
      try {
        await series.catchUp(chains, signal)
        onError(undefined)
      } catch (error) {
        if (!signal.aborted) onError(error as Error)
      }
      pass.resolve()
      // also while more is written all the time
      news.resolve()
      news = Promise.withResolvers()
    } while (isMore && !signal.aborted)
    // the service has ended: nobody reads on
    if (isMore) next.resolve()
    reading = undefined
  }

  function start(): void {
    isMore = true
    reading ??= readOn()
  }

  const devices = (): DeviceRow[] => standing(sources.flatMap(each => each.devices()))

  return {
    /** Something is written. */
    news: start,
    /** What was written before the call is in the series, however much is written meanwhile. */
    caughtUp(): Promise<void> {
      const { promise } = next
      start()
      return promise
    },
    ended: async () => reading,
    devices,
    /** All devices, then those that change, as they do; an empty list now and then as a sign of life. */
    async *changes(until: AbortSignal, togetherMs = TOGETHER_MS): AsyncGenerator<DeviceRow[]> {
      const after = sources.map(each => each.changes())
      let coming = news.promise
      yield devices()
      while (!until.aborted) {
        const restMs = performance.now() + togetherMs
        await Promise.race([coming, pause(ALIVE_MS, until)])
        // what comes after a rest is told at once
        await pause(Math.max(0, restMs - performance.now()), until)
        coming = news.promise
        yield sources.flatMap((each, i) => {
          const { rows, changes } = each.changed(after[i]!)
          after[i] = changes
          return rows
        })
      }
    }
  }
}
