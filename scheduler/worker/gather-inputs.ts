import type { Logger } from '@libp2p/interface'
import { assemble, type BlockRange, blocksOf, type SliceInput } from '../data/pieced-input.ts'
import { PeerUnreachableError } from '../errors.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import type { KeptBlocks } from './kept-blocks.ts'

// A worker that could not be reached is not tried again for so long: what waits for it waits once, not for every block.
const AWAY_MS = 30_000
const MAX_AWAY = 1000

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
  log
}: {
  blocks: Pick<BlockExchange, 'get'>
  kept: Pick<KeptBlocks, 'get'>
  log: Logger
}) {
  /** workers that could not be reached, and until when they are left alone */
  const away = new Map<string, number>()

  function leave(holder: string): void {
    if (away.size >= MAX_AWAY) away.clear()
    away.set(holder, Date.now() + AWAY_MS)
  }

  async function get(
    requester: string,
    { block, to }: BlockRange,
    holders: string[] | undefined,
    signal?: AbortSignal
  ): Promise<Uint8Array> {
    if (holders == null) return blocks.get(requester, block, { signal })
    const own = kept.get(block)
    if (own != null) return own
    // not all of them at the first one
    const start = block[0]! % Math.max(1, holders.length)
    for (const holder of [...holders.slice(start), ...holders.slice(0, start)]) {
      if (Date.now() < (away.get(holder) ?? 0)) continue
      try {
        const found = await blocks.get(holder, block, { signal })
        if (found.length >= to) return found
      } catch (err) {
        signal?.throwIfAborted()
        if (err instanceof PeerUnreachableError) leave(holder)
        log('no block of %s: %s', holder, (err as Error).message)
      }
    }
    throw new BlocksMissingError([block])
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
