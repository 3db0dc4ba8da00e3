import fc from 'fast-check'

/** What breaks readers more often than chance: ends of ranges, heads of CBOR, of lengths, of UTF-8. */
const TELLING = [
  0x00, 0x01, 0x7f, 0x80, 0xff, 0x1b, 0x3b, 0x5b, 0x5f, 0x7b, 0x9b, 0x9f, 0xbb, 0xc2, 0xd8, 0xed
]

type Change = (bytes: Uint8Array) => Uint8Array

/** `at` and `size` as shares of the input, of whatever length it is by then. */
const place = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), size: fc.nat(64) })
const cut = (bytes: Uint8Array, at: number, size: number) => {
  const from = Math.floor(at * bytes.length)
  return [bytes.subarray(0, from), bytes.subarray(from, from + size), bytes.subarray(from + size)] as const
}

/** Inputs near real ones: up to eight changes to one of them. Shrinks to fewer. */
export function mutated(real: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof(fc.constantFrom(...TELLING), fc.nat(255))
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 16 }),
    fc.tuple(fc.constantFrom(...real), place).map(([other, { at, size }]) => cut(other, at, size)[1])
  )
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.tuple(place, byte).map(
      ([{ at }, to]): Change =>
        bytes => {
          const [before, , after] = cut(bytes, at, 1)
          return Buffer.concat([before, Uint8Array.of(to), after])
        }
    ),
    fc.tuple(place, fc.nat(7)).map(
      ([{ at }, bit]): Change =>
        bytes => {
          const [before, [old = 0], after] = cut(bytes, at, 1)
          return Buffer.concat([before, Uint8Array.of(old ^ (1 << bit)), after])
        }
    ),
    fc.tuple(place, part).map(
      ([{ at, size }, by]): Change =>
        bytes => {
          const [before, , after] = cut(bytes, at, size)
          return Buffer.concat([before, by, after])
        }
    ),
    fc.tuple(place, fc.integer({ min: 2, max: 200 })).map(
      ([{ at, size }, times]): Change =>
        bytes => {
          const [before, again, after] = cut(bytes, at, size)
          return Buffer.concat([before, ...Array<Uint8Array>(times).fill(again), after])
        }
    ),
    place.map(
      ({ at }): Change =>
        bytes =>
          bytes.subarray(0, Math.floor(at * bytes.length))
    )
  )
  return fc
    .tuple(fc.constantFrom(...real), fc.array(change, { maxLength: 8 }))
    .map(([bytes, changes]) => changes.reduce((changed, apply) => apply(changed), bytes))
}
