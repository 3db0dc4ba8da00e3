import type { Logger } from '@libp2p/interface'
import type { Job } from '../contract.ts'
import { type Dataset, type KeptSlice, readManifest } from '../data/dataset.ts'
import { blocksOfChunk } from '../data/kept-items.ts'
import { PeerUnreachableError } from '../errors.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { asAgain } from '../tasks/kept-part.ts'

// When a worker leaves, several slices are missed at once: they are calculated again together.
const GATHER_MS = 100
// Slices that holders are asked for at a time.
const ASKED = 4
// Of a slice that this node can have and workers cannot: then it comes here, for every worker reaches who it works for.
const VAIN_REPORTS = 2

export interface RepairInit {
  signal: AbortSignal
  /** Submits the job of a dataset once more, as far as these slices go. */
  again(dataset: Dataset, slices: ReturnType<typeof asAgain>): Promise<Pick<Job, 'id' | 'resultBytes'>>
  /** The holders of some slices changed. */
  onMoved(dataset: Dataset): void
  /** Slices are lost for good. */
  onBroken(dataset: Dataset, err: Error): void
}

export interface RepairComponents {
  /** this node */
  self: string
  blocks: Pick<BlockExchange, 'get'>
  stays: {
    put(requester: string, job: string, blocks: readonly [Uint8Array, Uint8Array][]): string | undefined
  }
  log: Logger
}

interface Suspect {
  place: number
  block: Uint8Array
  done: PromiseWithResolvers<void>
}

/** Parts of datasets that nobody has any more: calculated again from what made them. */
export function createRepairs(
  { signal, again, onMoved, onBroken }: RepairInit,
  { self, blocks, stays, log }: RepairComponents
) {
  const gathering = new Map<Dataset, Suspect[]>()
  const vain = new WeakMap<KeptSlice, number>()

  /** Somebody could not get this block of a slice. Resolves when it can be had again; rejects when it never will. */
  function missed(dataset: Dataset, place: number, block: Uint8Array): Promise<void> {
    const before = dataset.waiting.get(place)
    if (before != null) return before
    const { promise } = suspect(dataset, place, block)
    const all = gathering.get(dataset)!
    if (all.length === 1)
      setTimeout(() => {
        gathering.delete(dataset)
        void mend(dataset, all)
      }, GATHER_MS)
    return promise
  }

  function suspect(dataset: Dataset, place: number, block: Uint8Array): PromiseWithResolvers<void> {
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => {}) // whoever waits for it sees it
    dataset.waiting.set(place, done.promise)
    const all = gathering.get(dataset) ?? []
    gathering.set(dataset, all)
    all.push({ place, block, done })
    return done
  }

  /** Never rejects. */
  async function mend(dataset: Dataset, suspects: Suspect[]): Promise<void> {
    const away = new Set<string>()
    const open = [...suspects]
    const lost: Suspect[] = []
    try {
      const look = async (): Promise<void> => {
        for (let next = open.pop(); next != null; next = open.pop())
          if (!(await isHad(dataset, next, away))) lost.push(next)
      }
      await Promise.all(Array.from({ length: ASKED }, look))
      // what else went with who is away is not waited for one by one
      for (const [place, { holders, chunks }] of dataset.slices.entries()) {
        const isGone = away.size > 0 && chunks.length > 0 && holders.every(holder => away.has(holder))
        if (!isGone || dataset.waiting.has(place)) continue
        const other = { place, block: chunks[0]![2].subarray(0, 32), done: Promise.withResolvers<void>() }
        other.done.promise.catch(() => {})
        dataset.waiting.set(place, other.done.promise)
        suspects.push(other)
        lost.push(other)
      }
      if (lost.length > 0)
        await repair(
          dataset,
          lost.map(({ place }) => place)
        )
      settle(dataset, suspects)
    } catch (err) {
      if (!signal.aborted) {
        log.error('parts of dataset %s cannot be had again: %e', dataset.id, err)
        onBroken(dataset, err as Error)
      }
      settle(dataset, suspects, err as Error)
    }
  }

  function settle(dataset: Dataset, suspects: Suspect[], err?: Error): void {
    for (const { place, done } of suspects) {
      dataset.waiting.delete(place)
      if (err == null) done.resolve()
      else done.reject(err)
    }
  }

  async function repair(dataset: Dataset, places: number[]): Promise<void> {
    places.sort((a, b) => a - b)
    log(
      '%d of %d slices of dataset %s are calculated again',
      places.length,
      dataset.slices.length,
      dataset.id
    )
    const job = await again(dataset, asAgain(dataset.slices, places))
    dataset.jobs.add(job.id)
    const { slices } = readManifest(await job.resultBytes({ signal }))
    for (const [i, { holders }] of slices.entries()) dataset.moved(places[i]!, holders)
    onMoved(dataset)
  }

  /** true where a holder still has the block: who missed it came too early, or cannot reach it. */
  async function isHad(dataset: Dataset, { place, block }: Suspect, away: Set<string>): Promise<boolean> {
    const slice = dataset.slices[place]!
    if (!(await find(slice, block, away))) return false
    const times = (vain.get(slice) ?? 0) + 1
    vain.set(slice, times)
    if (times < VAIN_REPORTS || slice.holders.includes(self)) return true
    const here: [Uint8Array, Uint8Array][] = []
    for (const { block } of slice.chunks.flatMap(blocksOfChunk)) {
      const found = await find(slice, block, away)
      if (found == null) return false
      here.push([block, found])
    }
    const reason = stays.put(self, dataset.id, here)
    if (reason != null) throw new Error(reason)
    dataset.moved(place, [...slice.holders, self])
    onMoved(dataset)
    return true
  }

  async function find(
    { holders }: KeptSlice,
    block: Uint8Array,
    away: Set<string>
  ): Promise<Uint8Array | undefined> {
    for (const holder of holders) {
      if (away.has(holder)) continue
      try {
        return await blocks.get(holder, block, { signal })
      } catch (err) {
        signal.throwIfAborted()
        if (err instanceof PeerUnreachableError) away.add(holder)
      }
    }
    return
  }

  return { missed }
}
