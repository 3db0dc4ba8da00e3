/** The settlement of a small job follows its escrow within this time: no witness need hear of the escrow alone. */
const ESCROW_MS = 20
/** Settlements wait for each other this long: a witness has the same to do for one as for hundreds. */
const SETTLE_MS = 1_000
const MOST_SETTLEMENTS = 256

/** When the orders of this node go to the witnesses: at once, unless nobody gains by it. */
export interface Patience {
  /** An escrow was signed: it may wait for its settlement. */
  escrow(job: string): void
  /** A settlement was signed that nobody waits for: it may wait for others. */
  settle(job: string): void
  /** Everything signed so far goes. */
  hurry(): void
  /** Whether the order with this number is to go, and with it all that were signed after it. */
  isDue(seq: number): boolean
  stop(): void
}

/** `onDue`: there is something to send. `now`: ms. */
export function createPatience(
  { signed, onDue }: { /** the number of the next order */ signed(): number; onDue(): void },
  now: () => number = () => performance.now()
): Patience {
  // of an earlier life of the data folder nothing waits
  let due = Number.POSITIVE_INFINITY
  /** jobs at work whose escrow no witness has heard of, the first that came first */
  const open = new Map<string, number>()
  let settlements = 0
  let escrowTimer: NodeJS.Timeout | undefined
  let settleTimer: NodeJS.Timeout | undefined

  function stop(): void {
    clearTimeout(escrowTimer)
    clearTimeout(settleTimer)
    escrowTimer = undefined
    settleTimer = undefined
  }

  function hurry(): void {
    stop()
    open.clear()
    settlements = 0
    due = signed()
    onDue()
  }

  function look(): void {
    escrowTimer = undefined
    const [oldest] = open.values()
    if (oldest == null) return
    const left = oldest + ESCROW_MS - now()
    if (left <= 0) hurry()
    else escrowTimer = setTimeout(look, left)
  }

  return {
    escrow(job) {
      open.set(job, now())
      escrowTimer ??= setTimeout(look, ESCROW_MS)
    },
    settle(job) {
      open.delete(job)
      settlements++
      if (settlements >= MOST_SETTLEMENTS) hurry()
      else settleTimer ??= setTimeout(hurry, SETTLE_MS)
    },
    hurry,
    isDue: seq => seq < due,
    stop
  }
}
