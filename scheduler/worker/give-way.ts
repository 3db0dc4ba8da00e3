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
