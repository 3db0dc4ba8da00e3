import { unpaidMs } from '../market/unpaid-time.ts'

/** What runs in one process, as far as it matters who pays for it. */
export interface Running {
  requester: string
  own: boolean
  /** ms, as `now` */
  startedAt: number
  /** micro-credits, of all its slices */
  price: number
  /** a certified escrow holds the price: it is more than a stranger's word */
  isSecured: boolean
  /** it was told to end already */
  isEnding: boolean
}

/**
 * What of `running` ends, where no slot is free, because slices that are secured, or the owner's own, wait: work on
 * somebody's word, the youngest first, one for each of those that wait. Nobody gives way to himself. Pure.
 * @param waiting the requesters of what waits
 */
export function givingWay<R extends Running>(running: readonly R[], waiting: readonly string[]): R[] {
  const wanted = waiting.length - running.filter(({ isEnding }) => isEnding).length
  return running
    .filter(({ own, isSecured, isEnding }) => !own && !isSecured && !isEnding)
    .filter(({ requester }) => waiting.some(id => id !== requester))
    .sort((a, b) => b.startedAt - a.startedAt)
    .slice(0, Math.max(0, wanted))
}

/** ms that a requester uses at this moment with nothing behind it: a price on word alone pays for nothing until it is earned. */
export function unsecuredMs(running: readonly Running[], now: number): number {
  return running.reduce(
    (sum, { startedAt, price, isSecured }) => sum + unpaidMs(now - startedAt, isSecured ? price : 0),
    0
  )
}

// Work on a word that gave way is not begun again for so long, three times as long each time …
const PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
// … or until slots were free for so long, once more each time: then nobody who pays has use for them.
const IDLE_MS = 1_000
// A requester that was refused comes back after 500 ms, twice as long each time (coordinator/judge-answers.ts). What comes within the
// first second may have been on its way.
const ON_ITS_WAY_MS = 1_000
const COMES_BACK_MS = 400

/**
 * The requesters whose work gave way. A slot that they have again whenever there is a gap between two jobs of who pays has to be freed
 * for each of these, which takes longer than a small job.
 */
export function createPauses(now: () => number) {
  const pauses = new Map<string, { times: number; at: number; until: number }>()

  return {
    /** Work that began at `startedAt` gave way; false where that is part of what was counted, for it ran then. */
    gaveWay(requester: string, startedAt: number): boolean {
      const before = pauses.get(requester)
      if (before != null && startedAt <= before.at) return false
      const times = (before?.times ?? 0) + 1
      const at = now()
      pauses.set(requester, {
        times,
        at,
        until: at + Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 3 ** (times - 1))
      })
      return true
    },

    /** Nothing of it is begun, unless it is secured. */
    isPaused: (requester: string): boolean => now() < (pauses.get(requester)?.until ?? 0),

    /** It was told to come later, and comes. */
    takesNoHeed(requester: string): boolean {
      const pause = pauses.get(requester)
      if (pause == null) return false
      const ms = now() - pause.at
      return ms > ON_ITS_WAY_MS && ms < COMES_BACK_MS * 2 ** (pause.times - 1)
    },

    /** To be called now and then. `freeMs`: for how long there have been free slots. Forgets who gave way long ago. */
    review(freeMs: number): void {
      for (const [requester, pause] of pauses) {
        if (freeMs >= IDLE_MS * pause.times) pause.until = Math.min(pause.until, now())
        if (now() - pause.at > 2 * LONGEST_PAUSE_MS) pauses.delete(requester)
      }
    }
  }
}
