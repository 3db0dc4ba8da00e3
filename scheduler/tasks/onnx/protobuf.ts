/** A message of protobuf (protobuf.dev/programming-guides/encoding), without its schema. */
export interface Message {
  messages(field: number): Message[]
  bytes(field: number): Uint8Array | undefined
  text(field: number): string
  texts(field: number): string[]
  int(field: number): number
  /** repeated integers, packed or not; undefined where they are more than `most` */
  ints(field: number, most: number): number[] | undefined
}

// Of a message with all that is read of it: a model of 10,000 nodes has some 200,000, and this many take half a second.
const MAX_FIELDS = 500_000

/** Reads as much of it as is asked for. Throws RangeError. */
export function readMessage(bytes: Uint8Array, count = { fields: 0 }): Message {
  const fields = new Map<number, (bigint | Uint8Array)[]>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new RangeError('it ends within a number')
      const byte = bytes[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asIntN(64, value)
    }
    throw new RangeError('a number is longer than 64 bits')
  }
  const take = (size: number): Uint8Array => {
    if (size < 0 || at + size > bytes.length) throw new RangeError('it ends within a field')
    at += size
    return bytes.subarray(at - size, at)
  }
  const value = (wire: number): bigint | Uint8Array => {
    if (wire === 0) return varint()
    if (wire === 1) return take(8)
    if (wire === 2) return take(Number(varint()))
    if (wire === 5) return take(4)
    throw new RangeError(`wire type ${wire} is not known`)
  }
  while (at < bytes.length) {
    if (++count.fields > MAX_FIELDS) throw new RangeError(`it has more than ${MAX_FIELDS} fields`)
    const key = Number(varint())
    const read = value(key & 7)
    const list = fields.get(key >>> 3)
    if (list === undefined) fields.set(key >>> 3, [read])
    else list.push(read)
  }
  const all = (field: number): (bigint | Uint8Array)[] => fields.get(field) ?? []
  const buffers = (field: number): Uint8Array[] => all(field).filter(each => each instanceof Uint8Array)
  const decoder = new TextDecoder()
  return {
    messages: field => buffers(field).map(each => readMessage(each, count)),
    // of a field that is there twice, the last one counts
    bytes: field => buffers(field).at(-1),
    text: field => decoder.decode(buffers(field).at(-1)),
    texts: field => buffers(field).map(each => decoder.decode(each)),
    int: field => Number(all(field).findLast(each => typeof each === 'bigint') ?? 0),
    ints(field, most) {
      const numbers: number[] = []
      for (const each of all(field)) {
        if (typeof each === 'bigint') numbers.push(Number(each))
        else readPacked(each, most, numbers)
        if (numbers.length > most) return undefined
      }
      return numbers
    }
  }
}

/** Appends at most one more than `most`. */
function readPacked(bytes: Uint8Array, most: number, numbers: number[]): void {
  let value = 0n
  let shift = 0n
  for (const byte of bytes) {
    if (shift > 63n) throw new RangeError('a number is longer than 64 bits')
    value |= BigInt(byte & 127) << shift
    shift += 7n
    if (byte >= 128) continue
    numbers.push(Number(BigInt.asIntN(64, value)))
    if (numbers.length > most) return
    value = 0n
    shift = 0n
  }
}
