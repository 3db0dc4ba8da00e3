import type { Picture } from '../screen.ts'

/** What ails a screen that should show a film. */
export const SCREEN_FAULTS = ['black', 'still'] as const
export type ScreenFault = (typeof SCREEN_FAULTS)[number]

/** so long it must be so; a pause between two pictures that is as long tells nothing of what was between */
const FAULT_MS = 60_000
/** of 255: films write black as 16, and a panel's picture of it is not exact */
const DARK = 24
/** of a picture: enough to find what is no dust, at a hundredth of the cost */
const PIXELS_LOOKED_AT = 20_000
const BYTES = 4

/** Whether nothing is to be seen on it: of its pixels, in all of its parts. Pure. */
export function isBlack({ data }: Picture): boolean {
  const pixels = data.length / BYTES
  const step = Math.max(1, Math.floor(pixels / PIXELS_LOOKED_AT)) * BYTES
  for (let at = 0; at < data.length; at += step)
    if (data[at]! > DARK || data[at + 1]! > DARK || data[at + 2]! > DARK) return false
  return true
}

export interface Seen {
  /** of the whole picture */
  hash: string
  isBlack: boolean
  /** it should move */
  isFilm: boolean
  /** of its showing: a film that is shown again and again begins with the same picture each time */
  isFirst: boolean
}

/** Tells from the pictures of one TV what ails it, as far as it counts. Pure but for what it remembers. */
export function createScreenWatch() {
  let seenAt = Number.NEGATIVE_INFINITY
  let blackSince: number | undefined
  let still: { hash: string; since: number; isSure: boolean } | undefined
  return (seen: Seen, counts: readonly ScreenFault[], now: number): ScreenFault | undefined => {
    if (now - seenAt >= FAULT_MS) blackSince = still = undefined
    seenAt = now
    blackSince = seen.isBlack ? (blackSince ?? now) : undefined
    if (!seen.isFilm) still = undefined
    else if (still?.hash !== seen.hash) still = { hash: seen.hash, since: now, isSure: false }
    else if (!seen.isFirst) still.isSure = true
    const isLong = (since: number | undefined): boolean => since != null && now - since >= FAULT_MS
    const found = { black: isLong(blackSince), still: still?.isSure === true && isLong(still.since) }
    return SCREEN_FAULTS.find(each => found[each] && counts.includes(each))
  }
}
