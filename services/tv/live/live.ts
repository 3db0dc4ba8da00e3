import { setTimeout as delay } from 'node:timers/promises'
import { TvFailedError } from '../errors.ts'
import { createSplitter, type Unit } from './split.ts'
import { createViewer, type Viewer } from './viewer.ts'

/** a picture ends where the next one begins, or where a screen that stands still sends no next one */
const STILL_MS = 100
/** a TV that ends at once is not asked without pause */
const AGAIN_MS = 250
const TRIES = 3
/** of one TV; each may have 8 MB that wait for him */
const MAX_VIEWERS = 32
/** from the last key picture on: who comes later sees at once what the others see */
const MAX_KEPT_BYTES = 4 * 1024 * 1024

export interface Live {
  /**
   * The screen as H.264, from a key picture on. It is recorded while somebody watches, once for all.
   *
   * @throws {TvFailedError} the TV does not record it, or too many watch
   * @throws {TvDownError | TvOverdueError | TvProtocolError}
   */
  watch(signal: AbortSignal): AsyncGenerator<Unit>
}

/** @param record begins to record, until its signal or for as long as a TV does so at most */
export function createLive(record: (signal: AbortSignal) => AsyncIterable<Uint8Array>): Live {
  const viewers = new Set<Viewer>()
  let recording: AbortController | undefined
  let kept: Unit[] = []
  let keptBytes = 0

  function give(unit: Unit): void {
    if (unit.isKey) [kept, keptBytes] = [[], 0]
    keptBytes += unit.bytes.length
    // without its beginning the rest is worth nothing
    if (keptBytes > MAX_KEPT_BYTES) kept = []
    else if (unit.isKey || kept.length > 0) kept.push(unit)
    for (const viewer of viewers) viewer.give(unit)
  }

  /** @returns whether anything came */
  async function once(signal: AbortSignal): Promise<boolean> {
    const splitter = createSplitter()
    let hasCome = false
    let still: NodeJS.Timeout | undefined
    const take = (units: Unit[]): void => {
      hasCome ||= units.length > 0
      for (const unit of units) give(unit)
    }
    try {
      for await (const chunk of record(signal)) {
        clearTimeout(still)
        signal.throwIfAborted()
        take(splitter.push(chunk))
        still = setTimeout(() => take(splitter.flush()), STILL_MS)
      }
    } finally {
      clearTimeout(still)
    }
    take(splitter.flush())
    return hasCome
  }

  async function stay(mine: AbortController): Promise<void> {
    const { signal } = mine
    try {
      for (let inVain = 0; inVain < TRIES; await delay(AGAIN_MS, undefined, { signal }))
        inVain = (await once(signal)) ? 0 : inVain + 1
      throw new TvFailedError('the TV does not record its screen')
    } catch (error) {
      // nobody watches any more
      if (signal.aborted) return
      recording = undefined
      for (const viewer of viewers) viewer.fail(error as Error)
    }
  }

  return {
    async *watch(signal) {
      if (viewers.size >= MAX_VIEWERS) throw new TvFailedError(`${MAX_VIEWERS} watch this TV already`)
      const viewer = createViewer(kept)
      viewers.add(viewer)
      if (recording == null) {
        recording = new AbortController()
        void stay(recording)
      }
      try {
        for (;;) yield await viewer.next(signal)
      } finally {
        viewers.delete(viewer)
        if (viewers.size === 0) {
          recording?.abort()
          recording = undefined
          kept = []
        }
      }
    }
  }
}
