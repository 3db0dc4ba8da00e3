import { encodeValue } from '../../sandbox/index.ts'
import { CHUNK_BYTES, type Data } from './chunked-data.ts'
import { blocksOfChunk } from './kept-items.ts'
import { cutList, encodeArray, head, itemEnds } from './value-bytes.ts'

/**
 * Canonical bytes whose content is partly in blocks: the worker fetches the blocks and puts the pieces one after the
 * other, and has the very bytes that the same value inline would have had.
 */

/** Bytes [from, to) of the block with this SHA-256. */
export interface BlockRange {
  block: Uint8Array
  from: number
  to: number
  /** who has it, as places in the list `holders` of the input; absent: the requester */
  at?: number[]
}

/** Items [from, to) of a chunk that other workers keep (kept-items.ts): only who has the chunk knows where they begin. */
export interface ItemRange {
  /** the SHA-256 of each of its blocks, one after the other */
  chunk: Uint8Array
  items: number
  size: number
  from: number
  to: number
  at: number[]
}

export type Piece = Uint8Array | BlockRange | ItemRange

export interface Pieces {
  size: number
  pieces: Piece[]
  holders?: string[]
}

/** One input of a slice: its canonical bytes, or where they are. */
export type SliceInput = Uint8Array | Pieces

/** RFC 8746 tags (value.ts of the sandbox), little endian; undefined: a byte string */
const NUMBERS = {
  uint8: { bytes: 1, tag: undefined, make: Uint8Array },
  int8: { bytes: 1, tag: 72, make: Int8Array },
  uint16: { bytes: 2, tag: 69, make: Uint16Array },
  int16: { bytes: 2, tag: 77, make: Int16Array },
  uint32: { bytes: 4, tag: 70, make: Uint32Array },
  int32: { bytes: 4, tag: 78, make: Int32Array },
  float32: { bytes: 4, tag: 85, make: Float32Array },
  float64: { bytes: 8, tag: 86, make: Float64Array }
} as const

export type NumberType = keyof typeof NUMBERS
export const NUMBER_TYPES = Object.keys(NUMBERS) as NumberType[]

/** Bytes as an array of numbers, without a copy where they are aligned. */
export function numbersOf(type: NumberType, bytes: Uint8Array): ArrayLike<number> & ArrayBufferView {
  const { make, bytes: width } = NUMBERS[type]
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice()
  return new make(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / width)
}

/** How the bytes of some data are items: numbers of a type, or records of `size` bytes. */
export type ItemForm = { type: NumberType } | { size: number }

/** Stands for a list of items that lies in blocks. Has of a list what plans use: `length` and `slice`. */
export class DataItems {
  readonly data: Data
  readonly form: ItemForm
  readonly length: number
  constructor(data: Data, form: ItemForm) {
    this.data = data
    this.form = form
    this.length = Math.ceil(data.size / this.width)
  }

  /** bytes per item */
  get width(): number {
    return 'type' in this.form ? NUMBERS[this.form.type].bytes : this.form.size
  }

  slice(first: number, end: number): DataSlice | [] {
    const to = Math.min(end, this.length)
    return to <= first ? [] : new DataSlice(this, first, to)
  }
}

/** A value whose canonical bytes are there in pieces. */
export class PieceValue {
  readonly pieces: Piece[]
  readonly holders?: string[]
  constructor(pieces: Piece[], holders?: string[]) {
    this.pieces = pieces
    this.holders = holders
  }
}

class DataSlice {
  readonly items: DataItems
  readonly first: number
  readonly end: number
  constructor(items: DataItems, first: number, end: number) {
    this.items = items
    this.first = first
    this.end = end
  }

  get pieces(): Piece[] {
    const { data, form, width } = this.items
    if ('type' in form) {
      const { tag } = NUMBERS[form.type]
      const bytes = (this.end - this.first) * width
      const heads = tag == null ? [head(2, bytes)] : [head(6, tag), head(2, bytes)]
      return [...heads, ...ranges(data, this.first * width, this.end * width)]
    }
    const pieces: Piece[] = [head(4, this.end - this.first)]
    for (let item = this.first; item < this.end; item++) {
      const from = item * width
      const to = Math.min(data.size, from + width)
      pieces.push(head(2, to - from), ...ranges(data, from, to))
    }
    return pieces
  }
}

/** The blocks that hold the bytes [from, to). */
function ranges({ chunks }: Data, from: number, to: number): BlockRange[] {
  const found: BlockRange[] = []
  for (let at = from; at < to; ) {
    const index = Math.floor(at / CHUNK_BYTES)
    const start = index * CHUNK_BYTES
    const end = Math.min(to, start + CHUNK_BYTES)
    found.push({ block: chunks[index]!, from: at - start, to: end - start })
    at = end
  }
  return found
}

/** An input of a plan as its canonical bytes, or as pieces where one of its fields lies in blocks. */
export function encodeInput(input: unknown): SliceInput {
  const isObject = typeof input === 'object' && input !== null
  // the entries of a typed array are its numbers, each a string and a pair
  const isList = Array.isArray(input) || ArrayBuffer.isView(input)
  const entries = isObject && !isList ? Object.entries(input) : []
  if (!entries.some(([, value]) => isPieces(value))) return encodeValue(input)
  const all: Piece[] = [head(5, entries.length)]
  let holders: string[] | undefined
  for (const [key, value] of entries) {
    all.push(encodeValue(key))
    if (value instanceof PieceValue) holders ??= value.holders
    // one by one: there may be more than a call takes arguments
    for (const piece of isPieces(value) ? value.pieces : [encodeValue(value)]) all.push(piece)
  }
  const pieces = merge(all)
  return { size: sizeOf(pieces), pieces, ...(holders && { holders }) }
}

/** A value in pieces alone, as an input. */
export const inputOf = ({ pieces, holders }: PieceValue): Pieces => ({
  size: sizeOf(pieces),
  pieces,
  holders
})

const isPieces = (value: unknown): value is { pieces: Piece[] } =>
  value instanceof DataSlice || value instanceof PieceValue

/** Of some items of a chunk, what they are at most. */
function lengthOf(piece: Piece): number {
  if (piece instanceof Uint8Array) return piece.length
  return 'chunk' in piece ? piece.size : piece.to - piece.from
}

function rangesOf(piece: Exclude<Piece, Uint8Array>): BlockRange[] {
  if ('block' in piece) return [piece]
  const { items, size, chunk, at } = piece
  return blocksOfChunk([items, size, chunk]).map(range => ({ ...range, at }))
}

const sizeOf = (pieces: Piece[]): number => pieces.reduce((sum, piece) => sum + lengthOf(piece), 0)

/** Joins inline pieces that follow each other. */
function merge(pieces: Piece[]): Piece[] {
  const merged: Piece[] = []
  let inline: Uint8Array[] = []
  const flush = (): void => {
    if (inline.length > 0) merged.push(inline.length === 1 ? inline[0]! : Buffer.concat(inline))
    inline = []
  }
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) inline.push(piece)
    else {
      flush()
      merged.push(piece)
    }
  }
  flush()
  return merged
}

/** Bytes of an input, wherever they are. */
export const inputBytes = (input: SliceInput): number => ('size' in input ? input.size : input.length)

/** The blocks that an input needs, and who has them: nobody named stands for the requester. */
export function blocksOf(input: SliceInput): [range: BlockRange, holders: string[] | undefined][] {
  if (input instanceof Uint8Array) return []
  return input.pieces.flatMap(piece =>
    piece instanceof Uint8Array
      ? []
      : rangesOf(piece).map((range): [BlockRange, string[] | undefined] => [range, holdersOf(input, range)])
  )
}

/** Throws RangeError for a holder that the list does not have. */
function holdersOf({ holders = [] }: Pieces, { at }: BlockRange): string[] | undefined {
  return at?.map(place => {
    if (holders[place] == null) throw new RangeError(`holder ${place} of ${holders.length}`)
    return holders[place]
  })
}

/**
 * The bytes of an input; `get` gives a block. Throws RangeError when a piece lies outside its block or the pieces are not
 * of the size that was said, else what `get` threw first, when it has been asked for all.
 */
export async function assemble(
  input: SliceInput,
  get: (range: BlockRange, holders: string[] | undefined) => Promise<Uint8Array>
): Promise<Uint8Array> {
  if (input instanceof Uint8Array) return input
  const size = sizeOf(input.pieces)
  if (size !== input.size) throw new RangeError(`pieces of ${size} bytes for an input of ${input.size}`)
  // all at once, so that the requests for them are under way together
  const parts = await Promise.allSettled(
    input.pieces.map(async piece => {
      if (piece instanceof Uint8Array) return [piece]
      const ranges = await settled(
        rangesOf(piece).map(async range => {
          const block = await get(range, holdersOf(input, range))
          if (range.from > range.to || range.to > block.length)
            throw new RangeError(`bytes ${range.from} to ${range.to} of a block of ${block.length}`)
          return block.subarray(range.from, range.to)
        })
      )
      return 'chunk' in piece ? [itemsOf(piece, ranges)] : ranges
    })
  )
  return Buffer.concat(parts.flatMap(outcomeOf))
}

const settled = async <T>(promises: Promise<T>[]): Promise<T[]> =>
  (await Promise.allSettled(promises)).map(outcomeOf)

function outcomeOf<T>(part: PromiseSettledResult<T>): T {
  if (part.status === 'rejected') throw part.reason
  return part.value
}

/** The bytes of some items of a chunk. */
function itemsOf({ items, from, to }: ItemRange, blocks: Uint8Array[]): Uint8Array {
  const list = encodeArray(items, blocks)
  const ends = itemEnds(list)
  if (ends == null || from >= to || to > items)
    throw new RangeError(`items ${from} to ${to} of a chunk of ${items}`)
  const cut = cutList(list, ends, from, to - from)
  return cut.subarray(head(4, to - from).length)
}
