import { FramingError } from './framing.ts'

/** Bytes of the longest varint of protobuf. */
const MAX_VARINT_BYTES = 10

const VARINT = 0
const FIXED_64 = 1
const BYTES = 2
const FIXED_32 = 5

/**
 * Counts the fields of a protobuf message as its bytes come, without decoding it: a decoder makes an object of every two bytes.
 * `nested`: the field that is a message itself, whose fields count as well. Whether a field has the right type is the decoder's
 * to say.
 *
 * @throws {FramingError} it is no protobuf
 */
export function followFields({ nested, onField }: { nested: number; onField: () => void }) {
  /** what the varint is that comes in */
  let state: 'key' | 'value' | 'length' = 'key'
  let field = 0
  let varint = 0
  let varintBytes = 0
  let skip = 0
  let nestedLeft = 0

  function whole(): void {
    const value = varint
    varint = varintBytes = 0
    if (state === 'length') {
      state = 'key'
      if (field === nested && nestedLeft === 0) nestedLeft = value
      else skip = value
      return
    }
    if (state === 'value') {
      state = 'key'
      return
    }
    onField()
    field = Math.floor(value / 8)
    const type = value % 8
    if (type === VARINT) state = 'value'
    else if (type === BYTES) state = 'length'
    else if (type === FIXED_64) skip = 8
    else if (type === FIXED_32) skip = 4
    else throw new FramingError(`a message has a field of type ${type}`)
  }

  return {
    /** A new message begins. */
    begin(): void {
      state = 'key'
      varint = varintBytes = skip = nestedLeft = 0
    },

    take(bytes: Uint8Array): void {
      for (let at = 0; at < bytes.length; ) {
        const step = skip > 0 ? Math.min(skip, bytes.length - at) : 1
        nestedLeft = Math.max(0, nestedLeft - step)
        if (skip > 0) skip -= step
        else {
          const byte = bytes[at]!
          if (varintBytes === MAX_VARINT_BYTES) throw new FramingError('a field has a number without end')
          varint += (byte & 0x7f) * 2 ** (7 * varintBytes)
          varintBytes++
          if (byte < 0x80) whole()
        }
        at += step
      }
    }
  }
}
