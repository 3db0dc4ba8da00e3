import { decodeValue } from '../../sandbox/index.ts'
import { arrayHead, head } from './value-bytes.ts'

/**
 * Canonical bytes of a result as they came: those of one value, or of lists whose items, one after the other, are those of the
 * list that it is. Large results are copied as a whole only for who asks for that.
 */
export type ResultBytes = readonly Uint8Array[]

/** What the bytes of a result are, one after the other; large ones are not copied. */
export function inPieces(result: ResultBytes): readonly Uint8Array[] {
  if (result.length === 1) return result
  return [headOf(result), ...result.map(list => list.subarray(arrayHead(list).size))]
}

/** The head of the list that these lists are together. */
export const headOf = (lists: readonly Uint8Array[]): Uint8Array =>
  head(
    4,
    lists.reduce((sum, list) => sum + arrayHead(list).length, 0)
  )

/** The bytes of a result in one; those of one value are not copied. */
export function wholeOf(result: ResultBytes): Uint8Array {
  const [only] = result
  if (only != null && result.length === 1) return new Uint8Array(only.buffer, only.byteOffset, only.length)
  const pieces = inPieces(result)
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** The value of a result. Throws ValueError for bytes that are not canonical. */
export function valueFrom(result: ResultBytes): unknown {
  if (result.length === 1) return decodeValue(result[0]!)
  const items: unknown[] = []
  for (const list of result) for (const item of decodeValue(list) as unknown[]) items.push(item)
  return items
}
