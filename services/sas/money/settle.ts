import { ackOf } from '../frames.ts'
import { AFT_STATUS, FIRST_FAILURE, ID_USED, NO_TRANSFER, PAID, PENDING } from '../tables/aft.ts'
import { BONUS_PAID, HANDPAY_PENDING, HANDPAY_RESET, TRANSFER_DONE } from '../tables/exceptions.ts'
import { isAbout, transferStatusOf } from './frames.ts'
import type { Does } from './order.ts'

/** How it ended. `unknown`: nobody can say, a person has to look. */
export interface Ending {
  is: 'done' | 'failed' | 'unknown'
  why?: string
}

/** A machine may still do within that time what it was told before it fell silent. */
const LATE_MS = 5_000
/** … and says within that time that a handpay still waits. */
const HANDPAY_MS = 45_000

/** Exceptions that tell how an order ended. */
export const TELLING = [TRANSFER_DONE, BONUS_PAID, HANDPAY_PENDING, HANDPAY_RESET]

const failed = (status: number): Ending => ({ is: 'failed', why: AFT_STATUS[status] ?? `status ${status}` })

/**
 * What the answer to the order itself says, `id` is that of its transfer; undefined: the machine has to be asked.
 *
 * @throws {FrameError}
 */
export function endingOf(
  address: number,
  answer: Uint8Array | undefined,
  id: string | undefined
): Ending | undefined {
  if (answer == null) return undefined
  const ack = ackOf(address, answer)
  if (ack === 'ack') return { is: 'done' }
  if (ack === 'nack') return { is: 'failed', why: 'the machine refused it' }
  const said = transferStatusOf(address, answer)
  if (isAbout(said, id) === false) return undefined
  const { status } = said
  // a used id means that it came here before this node knew of it: only meters can tell
  return status >= FIRST_FAILURE && status !== ID_USED ? failed(status) : undefined
}

/** What is known of an order whose answer did not come, or said that it takes a while. */
export interface Evidence {
  does: Does
  /** of the machine's last transfer now, and before the order was sent; undefined: it was no transfer */
  status: number | undefined
  before: number | undefined
  /** the status now is that of this order's transfer, or of another one; undefined: the machine does not say */
  isOurs: boolean | undefined
  /** credits that were ordered, and by which the meter of such payments has grown since */
  credits: bigint
  grown: bigint
  /** the machine has said that it does it */
  isTaken: boolean
  /** exceptions since */
  heard: readonly number[]
  /** ms since it was sent, at least */
  ageMs: number
}

/**
 * How an order ended, by what the machine says of itself; undefined: it is not over yet. It is never sent again: what did
 * not arrive has failed, and whoever wants it orders anew. Pure.
 */
export function settle(found: Evidence): Ending | undefined {
  const { does, status, before, isOurs, credits, grown, heard, ageMs } = found
  if (does === 'handpay') {
    if (heard.includes(HANDPAY_RESET)) return { is: 'done' }
    if (ageMs > LATE_MS && heard.includes(HANDPAY_PENDING))
      return { is: 'failed', why: 'the handpay still waits' }
    return ageMs > HANDPAY_MS ? { is: 'unknown', why: 'the machine says nothing of the handpay' } : undefined
  }
  if (status === PENDING) return undefined
  const isFailure = status != null && status >= FIRST_FAILURE && status !== NO_TRANSFER && status !== ID_USED
  // the status of another transfer says nothing of this one
  const isNew = isOurs ?? status !== before
  if (isFailure && isNew && grown === 0n) return failed(status)
  const saysPaid =
    status == null ? heard.includes(BONUS_PAID) : isOurs !== false && (status === PAID || status === ID_USED)
  if (grown === credits && saysPaid) return { is: 'done' }
  // what is late may come yet, and a meter may be read before it grows
  if (ageMs <= LATE_MS) return undefined
  const saysDone = heard.includes(TRANSFER_DONE) || heard.includes(BONUS_PAID)
  const isAsBefore =
    (isOurs !== true && status === before) || (isOurs !== false && (status ?? 0) >= FIRST_FAILURE)
  if (grown === 0n && !saysDone && !found.isTaken && isAsBefore)
    return { is: 'failed', why: 'it has not arrived' }
  return {
    is: 'unknown',
    why: `the meter grew by ${grown} credits, ordered were ${credits}${status == null ? '' : `; ${AFT_STATUS[status] ?? `status ${status}`}`}`
  }
}
