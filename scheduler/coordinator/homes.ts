import type { Home } from '../tasks/contract.ts'

/*
 * Units whose inputs stayed at workers: who has them gets them. Another worker gets what nobody has who is here; one with
 * nothing to do also takes from who has most left.
 */

export interface Homes {
  readonly isEmpty: boolean
  /** The next units of which this worker has the inputs. */
  at(worker: string): Home | undefined
  /** The next units that nobody has of those who are here. */
  orphan(isHere: (worker: string) => boolean): Home | undefined
  /** units that this worker has the inputs of */
  unitsAt(worker: string): number
  /** The last units of who has most to do yet, where that is more than `most` intervals. */
  busiest(most: number): Home | undefined
  /** Takes the first units of an interval, and gives them. */
  take(home: Home, count: number): { first: number; count: number }
}

// The queue of what nobody has.
const NOBODY = ''

/** `isWaiting`: these units cannot be given out now. */
export function createHomes(homes: readonly Home[], isWaiting: (home: Home) => boolean): Homes {
  const open = new Set<Home>(homes)
  const queues = new Map<string, Home[]>()
  const queuesOf = ({ holders }: Home): readonly string[] => (holders.length === 0 ? [NOBODY] : holders)
  const queueOf = (holder: string): Home[] => {
    const queue = queues.get(holder) ?? []
    queues.set(holder, queue)
    return queue
  }
  for (const home of homes) for (const holder of queuesOf(home)) queueOf(holder).push(home)

  /** What can be given out of a queue; what was taken is dropped on the way. */
  function left(holder: string): Home[] {
    const queue = queues.get(holder)
    if (queue == null) return []
    while (queue.length > 0 && !open.has(queue[0]!)) queue.shift()
    while (queue.length > 0 && !open.has(queue.at(-1)!)) queue.pop()
    if (queue.length === 0) queues.delete(holder)
    return queue
  }
  const isFree = (home: Home): boolean => open.has(home) && !isWaiting(home)

  return {
    get isEmpty() {
      return open.size === 0
    },

    at: worker => left(worker).find(isFree),

    orphan(isHere) {
      for (const holder of [...queues.keys()]) {
        if (isHere(holder)) continue
        const home = left(holder).find(each => isFree(each) && !each.holders.some(isHere))
        if (home != null) return home
      }
      return
    },

    unitsAt: worker => left(worker).reduce((sum, home) => sum + (open.has(home) ? home.count : 0), 0),

    busiest(most) {
      let found: Home[] = []
      for (const holder of [...queues.keys()]) {
        const queue = left(holder)
        if (queue.length > Math.max(most, found.length)) found = queue
      }
      return found.findLast(isFree)
    },

    take(home, count) {
      open.delete(home)
      const { first } = home
      if (count < home.count) {
        const rest = { ...home, first: first + count, count: home.count - count }
        open.add(rest)
        for (const holder of queuesOf(home)) {
          const queue = queueOf(holder)
          queue.splice(Math.max(0, queue.indexOf(home)), 0, rest)
        }
      }
      return { first, count }
    }
  }
}
