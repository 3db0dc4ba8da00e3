import type { Fields } from '../extract/contract.ts'
import type { SharedRule } from '../messages.ts'
import type { Page } from '../store.ts'
import { hashOf } from './statement.ts'

/** What was seen of a rule at a time. */
export interface Seen {
  at: number
  pages: Page[]
  items: ReadonlyMap<string, Fields>
}

/** Looks that are kept: each has its pages. */
const MOST = 4

/**
 * Looks that several ask for are done once: whoever asks gets the one that is under way, or one that is young enough and
 * newer than the one he was given before.
 *
 * @param keptMs how long one is young enough
 */
export function createLooks({
  look,
  keptMs,
  now
}: {
  look(rule: SharedRule): Promise<Omit<Seen, 'at'>>
  keptMs(): number
  now(): number
}) {
  const looks = new Map<string, { at: number; seen: Promise<Seen>; isUnderWay: boolean }>()

  /** @param after `at` of the look that the caller had before */
  return function take(rule: SharedRule, after: number): Promise<Seen> {
    const key = hashOf(rule)
    const last = looks.get(key)
    const isYoung = last != null && last.at > after && last.at + keptMs() >= now()
    if (last != null && (last.isUnderWay || isYoung)) return last.seen
    for (const [other, { isUnderWay, at }] of looks)
      if (!isUnderWay && (looks.size >= MOST || at + keptMs() < now())) looks.delete(other)
    const at = now()
    const seen = look(rule).then(found => ({ at, ...found }))
    const begun = { at, seen, isUnderWay: true }
    looks.set(key, begun)
    seen.then(
      () => {
        begun.isUnderWay = false
      },
      // what failed is tried again by who asks next
      () => looks.delete(key)
    )
    return seen
  }
}
