import { raceSignal } from 'race-signal'
import type { Unit } from './split.ts'

/** of somebody who reads more slowly than pictures come */
const MAX_WAITING_BYTES = 8 * 1024 * 1024

/** What waits for one who watches. */
export interface Viewer {
  give(unit: Unit): void
  fail(error: Error): void
  next(signal: AbortSignal): Promise<Unit>
}

/** Who is too slow misses all until the next key picture, and holds up nobody. */
export function createViewer(before: readonly Unit[]): Viewer {
  let waiting = [...before]
  let bytes = before.reduce((sum, unit) => sum + unit.bytes.length, 0)
  let needsKey = before.length === 0
  let failed: Error | undefined
  let wake = Promise.withResolvers<void>()
  return {
    give(unit) {
      if (bytes + unit.bytes.length > MAX_WAITING_BYTES) {
        waiting = []
        bytes = 0
        needsKey = true
      }
      if (needsKey && !unit.isKey) return
      needsKey = false
      waiting.push(unit)
      bytes += unit.bytes.length
      wake.resolve()
    },
    fail(error) {
      failed = error
      wake.resolve()
    },
    async next(signal) {
      for (;;) {
        signal.throwIfAborted()
        const unit = waiting.shift()
        if (unit != null) {
          bytes -= unit.bytes.length
          return unit
        }
        if (failed != null) throw failed
        wake = Promise.withResolvers()
        await raceSignal(wake.promise, signal)
      }
    }
  }
}
