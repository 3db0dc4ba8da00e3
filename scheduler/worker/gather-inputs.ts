import type { Logger } from '@libp2p/interface'
import { assemble, type BlockRange, blocksOf, type SliceInput } from '../data/pieced-input.ts'
import { PeerUnreachableError } from '../errors.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import type { KeptBlocks } from './kept-blocks.ts'

// A worker that could not be reached is not tried again for so long: what waits for it waits once, not for every block.
const AWAY_MS = 30_000
const MAX_AWAY = 1000
// One that takes so many times as long as a block usually does, and so long at least, is late: the next one is asked beside it, and
// the others before it for as long as one is away.
const LATE_FACTOR = 4
const LATE_MS = 1000
const MEMORY = 0.9
// Late ones at a time that another is asked beside: where everything is slow, little is sent twice.
const MAX_BESIDE = 4

/** Blocks that no other worker of those named has; the requester has them calculated again. */
export class BlocksMissingError extends Error {
  override readonly name = 'BlocksMissingError'
  readonly missing: Uint8Array[]
  constructor(missing: Uint8Array[]) {
    super(`${missing.length} blocks of other workers cannot be had`)
    this.missing = missing
  }
}

/** Brings the inputs of slices together, from the requester and from other workers. */
export function createWorkerInputs({
  blocks,
  kept,
  log,
  leastMs = LATE_MS
}: {
  blocks: Pick<BlockExchange, 'get'>
  kept: Pick<KeptBlocks, 'get'>
  log: Logger
  /** before this nobody is late */
  leastMs?: number
}) {
  /** workers that could not be reached, or were late, and until when they are left alone, or asked last */
  const away = new Map<string, number>()
  const late = new Map<string, number>()
  /** of a block from another worker */
  let usualMs = 0
  let beside = 0

  function leave(holder: string, which: Map<string, number>): void {
    if (which.size >= MAX_AWAY) which.clear()
    which.set(holder, Date.now() + AWAY_MS)
  }
  const isIn = (which: Map<string, number>, holder: string): boolean => Date.now() < (which.get(holder) ?? 0)

  /** The block from the first of these that has it, one after the other; the next one also where one is late. */
  function first(holders: string[], { block, to }: BlockRange, signal?: AbortSignal): Promise<Uint8Array> {
    const found = Promise.withResolvers<Uint8Array>()
    const timers = new Set<NodeJS.Timeout>()
    const left = [...holders]
    let asked = 0
    let isBeside = false

    function count(change: number): void {
      asked += change
      const isNow = asked > 1
      if (isNow !== isBeside) beside += isNow ? 1 : -1
      isBeside = isNow
    }

    /** Nobody else is asked for it. */
    function end(): void {
      left.length = 0
      for (const timer of timers) clearTimeout(timer)
      count(-asked)
    }

    function next(): void {
      const holder = left.shift()
      if (holder != null) void ask(holder)
      else if (asked === 0) found.reject(new BlocksMissingError([block]))
    }

    async function ask(holder: string): Promise<void> {
      const started = performance.now()
      let timer: NodeJS.Timeout
      const wait = (): void => {
        timer = setTimeout(replace, Math.max(leastMs, LATE_FACTOR * usualMs))
        timers.add(timer)
      }
      const replace = (): void => {
        leave(holder, late)
        if (left.length === 0) return
        if (isBeside || beside < MAX_BESIDE) next()
        else wait()
      }
      count(1)
      wait()
      try {
        const bytes = await blocks.get(holder, block, { signal })
        usualMs = usualMs * MEMORY + (performance.now() - started) * (1 - MEMORY)
        if (bytes.length >= to) {
          found.resolve(bytes)
          end()
        }
      } catch (err) {
        if (signal?.aborted) {
          found.reject(signal.reason)
          end()
        }
        if (err instanceof PeerUnreachableError) leave(holder, away)
        log('no block of %s: %s', holder, (err as Error).message)
      }
      clearTimeout(timer!)
      if (asked === 0) return
      count(-1)
      next()
    }

    next()
    return found.promise
  }

  async function get(
    requester: string,
    { block, from, to }: BlockRange,
    holders: string[] | undefined,
    signal?: AbortSignal
  ): Promise<Uint8Array> {
    if (holders == null) return blocks.get(requester, block, { signal })
    const own = kept.get(block)
    if (own != null) return own
    // not all of them at the first one
    const start = block[0]! % Math.max(1, holders.length)
    const order = [...holders.slice(start), ...holders.slice(0, start)].filter(each => !isIn(away, each))
    return first(
      order.sort((a, b) => Number(isIn(late, a)) - Number(isIn(late, b))),
      { block, from, to },
      signal
    )
  }

  return {
    /** Throws BlocksMissingError with all that is missing, BlockError when the requester does not have its own. */
    async fetch(
      requester: string,
      inputs: readonly SliceInput[],
      signal: AbortSignal
    ): Promise<Uint8Array[]> {
      const missing: Uint8Array[] = []
      const whole = inputs.map(input =>
        assemble(input, async (range, holders) => {
          try {
            return await get(requester, range, holders, signal)
          } catch (err) {
            if (err instanceof BlocksMissingError) missing.push(...err.missing)
            throw err
          }
        })
      )
      await Promise.allSettled(whole)
      if (missing.length > 0) throw new BlocksMissingError(missing)
      return Promise.all(whole)
    },

    /** Asks for the blocks of what comes next while the sandbox works. */
    prefetch(requester: string, inputs: readonly SliceInput[]): void {
      // who needs it asks again and is told
      for (const input of inputs)
        for (const [range, holders] of blocksOf(input))
          get(requester, range, holders).catch(err => log('no block ahead of time: %s', err.message))
    }
  }
}

export type WorkerInputs = ReturnType<typeof createWorkerInputs>
