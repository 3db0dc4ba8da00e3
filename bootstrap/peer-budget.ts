import { performance } from 'node:perf_hooks'

/**
 * What strangers may cost this node, counted in one place for all protocols: memory that it keeps for them, and time of its
 * event loop that came to nothing. Whoever wastes more than the allowance is disconnected and not let in for a while.
 * Work that was done, blocks that were wanted and orders that hold are no waste, whatever their number. Pure but for `now`.
 */
export interface PeerBudget {
  /** Takes bytes into what is kept for a peer, before they are read. false: that would be too much, and nothing was taken. */
  keep(peer: string, bytes: number): boolean
  /** Gives back what `keep` took. */
  free(peer: string, bytes: number): void
  /** Counts ms that went into something useless of the peer: malformed, refused, or dropped before it was used. */
  waste(peer: string, ms: number): void
  /** ms until a peer is let in again; 0: it may come */
  barredMs(peer: string): number
}

export interface PeerBudgetInit {
  /** The peer has to go, for so many ms. */
  onBarred(peer: string, ms: number): void
  /** ms, monotonic; default: performance.now */
  now?: () => number
  /** ms, monotonic, in which allowances are filled up again; default: those in which the event loop ran or could have run */
  awake?: () => number
  limits?: Partial<typeof PEER_LIMITS>
}

/** Most that the protocols keep for one peer: a program of 64 MiB or several of 32, inputs that wait 32, and a message of 64 that is coming in. */
export const PEER_LIMITS = {
  peerBytes: 160 * 1024 * 1024,
  allBytes: 512 * 1024 * 1024,
  /** so much may be wasted at once … */
  burstMs: 1_000,
  /** … and so much in every second: a twentieth of what the event loop gets */
  perSecondMs: 50,
  /** names cost nothing: where all together have wasted this much, who comes new starts with `newcomerMs` */
  allBurstMs: 4_000,
  allPerSecondMs: 200,
  newcomerMs: 50,
  firstBarMs: 60_000,
  lastBarMs: 3_600_000,
  /** peers that are remembered; more are only those that are connected at the same time */
  peers: 4_096
}

/** ms that may still be wasted, as it was at `at` */
interface Allowance {
  left: number
  at: number
}

interface Account extends Allowance {
  bytes: number
  bars: number
  barredUntil: number
}

/**
 * ms of this thread without those in which it had something to do and the machine did something else: whoever takes half of
 * what a busy machine leaves us wastes as much as who takes half of an idle one.
 */
function awakeMs(): number {
  const { user, system } = process.threadCpuUsage()
  return performance.now() - performance.eventLoopUtilization().active + (user + system) / 1000
}

/** Makes the one budget of a node. */
export function createPeerBudget({
  onBarred,
  now = () => performance.now(),
  awake = awakeMs,
  limits
}: PeerBudgetInit): PeerBudget {
  const { peerBytes, allBytes, burstMs, perSecondMs, allBurstMs, allPerSecondMs, ...rest } = {
    ...PEER_LIMITS,
    ...limits
  }
  const { newcomerMs, firstBarMs, lastBarMs, peers } = rest
  const all: Allowance = { left: allBurstMs, at: awake() }
  // in the order in which they were last wasteful
  const accounts = new Map<string, Account>()
  let total = 0

  function open(peer: string): Account {
    const known = accounts.get(peer)
    if (known != null) return known
    if (accounts.size >= peers) forget()
    const at = awake()
    take(all, 0, allBurstMs, allPerSecondMs, at)
    const left = Math.min(burstMs, Math.max(newcomerMs, all.left))
    const made = { bytes: 0, left, at, bars: 0, barredUntil: 0 }
    accounts.set(peer, made)
    return made
  }

  function take(allowance: Allowance, ms: number, burst: number, perSecond: number, time: number): void {
    const refill = (Math.max(0, time - allowance.at) * perSecond) / 1000
    allowance.left = Math.min(burst, allowance.left + refill) - ms
    allowance.at = Math.max(allowance.at, time)
  }

  /** The one that misbehaved longest ago, of those for whom nothing is kept. */
  function forget(): void {
    for (const [peer, { bytes }] of accounts) {
      if (bytes > 0) continue
      accounts.delete(peer)
      return
    }
  }

  return {
    keep(peer, bytes) {
      const account = open(peer)
      if (account.bytes + bytes > peerBytes || total + bytes > allBytes) return false
      account.bytes += bytes
      total += bytes
      return true
    },
    free(peer, bytes) {
      const account = open(peer)
      if (account.bytes < bytes) throw new RangeError(`${bytes} bytes were never kept for ${peer}`)
      account.bytes -= bytes
      total -= bytes
    },
    waste(peer, ms) {
      const account = open(peer)
      if (now() < account.barredUntil) return
      accounts.delete(peer)
      accounts.set(peer, account)
      const time = awake()
      take(account, ms, burstMs, perSecondMs, time)
      take(all, ms, allBurstMs, allPerSecondMs, time)
      if (account.left >= 0) return
      const barMs = Math.min(lastBarMs, firstBarMs * 2 ** account.bars)
      account.bars++
      account.left = burstMs
      account.barredUntil = now() + barMs
      onBarred(peer, barMs)
    },
    barredMs: peer => Math.max(0, (accounts.get(peer)?.barredUntil ?? 0) - now())
  }
}
