import { createHash } from 'node:crypto'
import { type Book, createBook } from '../../ledger/book/book.ts'
import { accountOf } from '../../ledger/records/keys.ts'
import type { LedgerNetwork } from '../../ledger/records/network.ts'
import { type Body, GENESIS_HASH } from '../../ledger/records/order.ts'
import type { HashedSegment } from '../../ledger/records/segment.ts'
import { createRandom } from './random.ts'

export const GRANT = 1_000n

/** Choices from a seed. */
export function randomOf(seed: number): { int(below: number): number; shuffle<T>(list: T[]): T[] } {
  const next = createRandom(seed)
  const int = (below: number): number => Math.floor(next() * below)
  return {
    int,
    shuffle: list => {
      const copy = [...list]
      for (let i = copy.length - 1; i > 0; i--) {
        const j = int(i + 1)
        ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
      }
      return copy
    }
  }
}

/** The same rules once more, in the plainest way: a list of purses, one order after the other. */
class Purses {
  readonly available: bigint[]
  readonly reserved: bigint[]
  readonly jobs: Map<string, bigint>[]
  readonly granted: boolean[]
  constructor(count: number) {
    this.available = Array(count).fill(0n)
    this.reserved = Array(count).fill(0n)
    this.jobs = Array.from({ length: count }, () => new Map())
    this.granted = Array(count).fill(false)
  }
}

export interface History {
  network: LedgerNetwork
  segments: HashedSegment[]
  /** expected by the plain calculation */
  balances: Map<string, { available: bigint; reserved: bigint }>
  granted: bigint
}

/** A random history of certified orders, also senseless ones, cut into runs at random. */
export function randomHistory(seed: number): History {
  const random = randomOf(seed)
  const count = 2 + random.int(4)
  const accounts = Array.from({ length: count }, (_, i) =>
    accountOf(createHash('sha256').update(`${seed}/${i}`).digest())
  )
  const network: LedgerNetwork = { id: 'sim', witnesses: [], grantMicro: GRANT, grantBits: 0 }
  const purses = new Purses(count)
  const chains: Body[][] = accounts.map(() => [])
  let granted = 0n
  const steps = 5 + random.int(40)
  for (let step = 0; step < steps; step++) {
    const who = random.int(count)
    const job = `job-${random.int(4)}`
    const kind = random.int(4)
    const timeS = step
    if (kind === 0) {
      const amount = random.int(8) === 0 ? GRANT + 1n : GRANT
      chains[who]!.push({ type: 'grant', timeS, amount, nonce: 0 })
      if (amount === GRANT && !purses.granted[who]) {
        purses.granted[who] = true
        purses.available[who]! += GRANT
        granted += GRANT
      }
    } else if (kind === 1) {
      const amount = BigInt(random.int(400))
      if (!purses.jobs[who]!.has(job) && purses.available[who]! < amount) continue
      chains[who]!.push({ type: 'escrow', timeS, job, amount })
      if (purses.jobs[who]!.has(job)) continue
      purses.jobs[who]!.set(job, amount)
      purses.available[who]! -= amount
      purses.reserved[who]! += amount
    } else if (kind === 2) {
      const payments = accounts
        .filter(() => random.int(2) === 0)
        .map(to => ({ to, amount: BigInt(random.int(150)), slices: random.int(5) }))
      chains[who]!.push({ type: 'settle', timeS, job, payments })
      const bound = purses.jobs[who]!.get(job)
      const total = payments.reduce((sum, { amount }) => sum + amount, 0n)
      if (bound == null || total > bound) continue
      purses.jobs[who]!.delete(job)
      purses.reserved[who]! -= bound
      purses.available[who]! += bound - total
      for (const { to, amount } of payments) purses.available[accounts.indexOf(to)]! += amount
    } else {
      const amount = 1n + BigInt(random.int(300))
      if (purses.available[who]! < amount) continue
      const to = random.int(count)
      chains[who]!.push({ type: 'transfer', timeS, to: accounts[to]!, amount, memo: '' })
      purses.available[who]! -= amount
      purses.available[to]! += amount
    }
  }
  const segments = chains.flatMap((orders, who) => cut(random, accounts[who]!, orders))
  return {
    network,
    segments,
    granted,
    balances: new Map(
      accounts.map((account, i) => [
        account,
        { available: purses.available[i]!, reserved: purses.reserved[i]! }
      ])
    )
  }
}

/** Runs of 1 to 4 orders; now and then one that overlaps the one before, as after a crash. */
function cut(random: ReturnType<typeof randomOf>, account: string, orders: Body[]): HashedSegment[] {
  const segments: HashedSegment[] = []
  for (let at = 0; at < orders.length; ) {
    const from = at > 0 && random.int(4) === 0 ? at - 1 : at
    const run = orders.slice(from, at + 1 + random.int(4))
    segments.push({
      account,
      seq: from,
      prev: GENESIS_HASH,
      orders: run,
      signature: new Uint8Array(64),
      votes: [],
      hashes: run.map((_, i) => Uint8Array.of(from + i))
    })
    at = from + run.length
  }
  return segments
}

/** Why a history is not what it must be in this order of arrival, if so. Looks after every single arrival. */
export function faultOf(
  { network, balances, granted }: History,
  arrival: HashedSegment[]
): string | undefined {
  const book = createBook(network)
  for (const segment of arrival) {
    book.add(segment)
    const supply = book.supply()
    if (supply.total !== supply.granted - supply.burnt) return 'credits appeared or vanished'
    for (const [account, { available, reserved }] of book.balances())
      if (available < 0n || reserved < 0n) return `${account} is negative`
  }
  if (book.supply().granted !== granted) return `granted ${book.supply().granted}, expected ${granted}`
  return differenceOf(book, balances)
}

function differenceOf(book: Book, expected: History['balances']): string | undefined {
  for (const [account, { available, reserved }] of expected) {
    const got = book.balance(account)
    if (got.available !== available || got.reserved !== reserved)
      return `${account} has ${got.available} + ${got.reserved}, expected ${available} + ${reserved}`
  }
  return undefined
}

/** One seed: the history in two random orders of arrival, with repetitions. */
export function checkHistory(seed: number): string | undefined {
  const history = randomHistory(seed)
  const random = randomOf(seed ^ 0x5bd1e995)
  for (let i = 0; i < 2; i++) {
    const twice = history.segments.filter(() => random.int(4) === 0)
    const fault = faultOf(history, random.shuffle([...history.segments, ...twice]))
    if (fault != null) return fault
  }
  return undefined
}
