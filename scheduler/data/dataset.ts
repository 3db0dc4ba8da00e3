import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { ProtocolError } from '../errors.ts'
import { blocksOfChunk, isChunk, type KeptChunk } from './kept-items.ts'
import { type Piece, PieceValue } from './pieced-input.ts'
import { head } from './value-bytes.ts'

/*
 * Results that stayed where they were made, as the node that asked for them knows them: which slice gave how many items
 * and bytes, their digests, and who has them. The items themselves are elsewhere.
 */

// Of one block; more would only make its reader wait longer for those that are gone.
const MAX_HOLDERS_PER_SLICE = 4

/** The results of units [first, first + count) of the job that made a dataset. */
export interface KeptSlice {
  first: number
  count: number
  holders: string[]
  chunks: KeptChunk[]
}

/** A chunk and where it is. */
interface Chunk {
  /** number of its first item in the dataset */
  start: number
  chunk: KeptChunk
  slice: number
}

type Row = [first: number, count: number, at: number[], chunks: KeptChunk[]]

/** What is to be told when a dataset is released, beside its slices and the job that made it. */
export interface Traces {
  /** who had parts of it before they were calculated again, and may come back with them */
  holders: Iterable<string>
  /** the jobs that calculated parts of it again, under whose names these lie at their workers */
  jobs: Iterable<string>
}

/** The canonical bytes of a manifest. */
export function encodeManifest(
  slices: readonly KeptSlice[],
  traces: Traces = { holders: [], jobs: [] }
): Uint8Array {
  const holders = [...new Set([...slices.flatMap(slice => slice.holders), ...traces.holders])].sort()
  const places = new Map(holders.map((holder, place) => [holder, place]))
  const rows = slices.map(
    ({ first, count, holders, chunks }): Row => [first, count, holders.map(id => places.get(id)!), chunks]
  )
  return encodeValue({ holders, slices: rows, jobs: [...traces.jobs] })
}

/** Throws ProtocolError for what is no manifest. */
export function readManifest(bytes: Uint8Array): { slices: KeptSlice[]; traces: Traces } {
  const { holders, slices, jobs = [] } = Object(decodeValue(bytes)) as Record<string, unknown>
  if (!Array.isArray(holders) || !Array.isArray(slices) || !Array.isArray(jobs))
    throw new ProtocolError('this is no manifest of a dataset')
  return {
    slices: slices.map(([first, count, at, chunks]: Row) => {
      if (!chunks.every(isChunk)) throw new ProtocolError('the manifest of a dataset is damaged')
      return { first, count, holders: at.map(place => holders[place]), chunks }
    }),
    traces: { holders, jobs }
  }
}

export class Dataset {
  /** the job that made it */
  readonly id: string
  readonly slices: KeptSlice[]
  readonly length: number
  readonly bytes: number
  /** places of slices that are being calculated again, and who waits for that */
  readonly waiting = new Map<number, Promise<void>>()
  /** Told of a slice whose blocks a worker could not get. */
  onLost: (place: number, block: Uint8Array) => void = () => {}
  /** who has parts of it, or had */
  readonly holders: Set<string>
  /** the job that made it, and those that calculated parts of it again */
  readonly jobs: Set<string>
  readonly #chunks: Chunk[] = []
  readonly #byBlock = new Map<string, number>()

  constructor(id: string, { slices, traces }: ReturnType<typeof readManifest>) {
    this.id = id
    this.slices = slices
    this.holders = new Set(traces.holders)
    this.jobs = new Set([id, ...traces.jobs])
    let start = 0
    let bytes = 0
    for (const [slice, { chunks }] of slices.entries())
      for (const chunk of chunks) {
        this.#chunks.push({ start, chunk, slice })
        for (const { block } of blocksOfChunk(chunk)) this.#byBlock.set(nameOf(block), slice)
        start += chunk[0]
        bytes += chunk[1]
      }
    this.length = start
    this.bytes = bytes
  }

  /** Others have a slice now. */
  moved(place: number, holders: string[]): void {
    this.slices[place]!.holders = holders
    for (const holder of holders) this.holders.add(holder)
  }

  get manifest(): Uint8Array {
    return encodeManifest(this.slices, this)
  }

  /** Chunks that hold the items [first, end), and which of their own items these are. */
  *chunksOf(first: number, end: number): Generator<Chunk & { from: number; to: number }> {
    for (let i = this.#chunkAt(first); i < this.#chunks.length; i++) {
      const each = this.#chunks[i]!
      if (each.start >= end) return
      const from = Math.max(0, first - each.start)
      yield { ...each, from, to: Math.min(each.chunk[0], end - each.start) }
    }
  }

  /**
   * The last of the ends up to `end` with which the items from `first` on take at most so many bytes, or a chunk more;
   * one item at least.
   */
  within(first: number, end: number, bytes: number): number {
    let left = bytes
    for (const { start, chunk, from, to } of this.chunksOf(first, end)) {
      const [items, size] = chunk
      const each = size / items
      const fit = Math.floor(left / each)
      if (fit < to - from) return Math.max(first + 1, start + from + fit)
      left -= (to - from) * each
    }
    return end
  }

  /** The place of the slice that has this block; undefined where it is none of this dataset's. */
  placeOf(block: Uint8Array): number | undefined {
    return this.#byBlock.get(nameOf(block))
  }

  /** true while a slice that has some of these items is being calculated again */
  isWaiting(first: number, end: number): boolean {
    if (this.waiting.size === 0) return false
    for (const { slice } of this.chunksOf(first, end)) if (this.waiting.has(slice)) return true
    return false
  }

  /** The items of each slice, and who has them. */
  *spans(): Generator<{ start: number; end: number; holders: string[] }> {
    let start = 0
    for (const { chunks, holders } of this.slices) {
      const end = start + chunks.reduce((sum, [items]) => sum + items, 0)
      if (end > start) yield { start, end, holders }
      start = end
    }
  }

  /** The place of the last chunk that begins at this item or before. */
  #chunkAt(item: number): number {
    let [low, high] = [0, this.#chunks.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (this.#chunks[middle]!.start <= item) low = middle
      else high = middle
    }
    return low
  }
}

/** Stands for the list of a dataset's items. Has of a list what plans use: `length` and `slice`. */
export class DatasetItems {
  readonly dataset: Dataset
  constructor(dataset: Dataset) {
    this.dataset = dataset
  }

  get length(): number {
    return this.dataset.length
  }

  /** As pieces that name who has them now. */
  slice(first: number, until: number): PieceValue | [] {
    const end = Math.min(until, this.length)
    if (end <= first) return []
    const holders: string[] = []
    const pieces: Piece[] = [head(4, end - first)]
    for (const { chunk, slice, from, to } of this.dataset.chunksOf(first, end)) {
      const at = this.dataset.slices[slice]!.holders.slice(-MAX_HOLDERS_PER_SLICE).map(holder => {
        if (!holders.includes(holder)) holders.push(holder)
        return holders.indexOf(holder)
      })
      const [items, size, digests] = chunk
      if (from > 0 || to < items) pieces.push({ chunk: digests, items, size, from, to, at })
      else for (const range of blocksOfChunk(chunk)) pieces.push({ ...range, at })
    }
    return new PieceValue(pieces, holders)
  }
}

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64url')
