import type { Chains } from '../delivery/chains.ts'
import { pause } from '../time/pause.ts'
import type { DeviceRow, Series } from './series.ts'

/** Who follows hears at least this often, so that a connection which is gone is noticed. */
const ALIVE_MS = 5_000
/** Changes are told together, for eyes and not for programs. */
const TOGETHER_MS = 100

export interface SeenInit {
  series: Series
  chains: Chains
  signal: AbortSignal
  /** why the history does not go on; undefined: it does */
  onError(error: Error | undefined): void
}

/** Reads the logs into the series as they grow, and tells which devices have changed. */
export function createSeen({ series, chains, signal, onError }: SeenInit) {
  let reading: Promise<void> | undefined
  let isMore = false
  /** ends with the pass that has not begun yet */
  let next = Promise.withResolvers<void>()
  let told = new Map<string, string>()
  let isTold = false
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
    } while (isMore && !signal.aborted)
    // the service has ended: nobody reads on
    if (isMore) next.resolve()
    reading = undefined
    isTold = false
    news.resolve()
    news = Promise.withResolvers()
  }

  function start(): void {
    isMore = true
    reading ??= readOn()
  }

  /** Devices that are not as they were then, and how they are now. */
  function since(before: ReadonlyMap<string, string>): { rows: DeviceRow[]; now: Map<string, string> } {
    const rows = series.devices()
    const now = new Map(rows.map(row => [`${row.agent} ${row.id}`, `${row.readAt} ${row.eventAt}`]))
    return {
      rows: rows.filter(({ agent, id }) => before.get(`${agent} ${id}`) !== now.get(`${agent} ${id}`)),
      now
    }
  }

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
    /** Devices that have changed since this was asked last. */
    changed(): DeviceRow[] {
      if (isTold) return []
      isTold = true
      const { rows, now } = since(told)
      told = now
      return rows
    },
    /** All devices, then those that change, as they do; an empty list now and then as a sign of life. */
    async *changes(until: AbortSignal): AsyncGenerator<DeviceRow[]> {
      let before = new Map<string, string>()
      while (!until.aborted) {
        const coming = news.promise
        const { rows, now } = since(before)
        before = now
        yield rows
        await Promise.race([coming, pause(ALIVE_MS, until)])
        await pause(TOGETHER_MS, until)
      }
    }
  }
}
