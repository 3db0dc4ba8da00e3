/** CBOR of about so many bytes that costs a decoder as much as it can. */
type Shape = (bytes: number) => Uint8Array

const u32 = (n: number) => [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255]
const text = (characters: string) => [...Buffer.from(characters)]

function repeat(head: number[], unit: number[], atMost: number): Uint8Array {
  const count = Math.floor(atMost)
  const bytes = new Uint8Array(head.length + unit.length * count)
  bytes.set(head)
  for (let i = 0; i < count; i++) bytes.set(unit, head.length + i * unit.length)
  return bytes
}

const head = (major: number, n: number) =>
  n < 65_536 ? [(major << 5) | 25, n >> 8, n & 255] : [(major << 5) | 26, ...u32(n)]
const list =
  (unit: number[]): Shape =>
  bytes =>
    repeat(head(4, Math.floor(bytes / unit.length)), unit, bytes / unit.length)

function map(keyOf: (i: number) => string): Shape {
  return bytes => {
    const parts: Uint8Array[] = []
    let size = 0
    let count = 0
    for (; size < bytes; count++) {
      const key = keyOf(count)
      parts.push(Uint8Array.from([0x60 | key.length, ...text(key), 0]))
      size += parts.at(-1)!.length
    }
    return Buffer.concat([Uint8Array.from(head(5, count)), ...parts])
  }
}

const MIB_BYTES = 1 << 20

/** Everything of it is well-formed or nearly so: what is refused at its first byte costs nobody anything. */
export const hostileShapes: Record<string, Shape> = {
  'one bignum': bytes => repeat([0xc2, ...head(2, bytes)], [0xab], bytes),
  'one negative bignum': bytes => repeat([0xc3, ...head(2, bytes)], [0xab], bytes),
  'bignums as large as may be': bytes => {
    const one = repeat([0xc2, ...head(2, MIB_BYTES)], [0xab], MIB_BYTES)
    const count = Math.ceil(bytes / MIB_BYTES)
    return Buffer.concat([Uint8Array.of(0x80 | count), ...Array(count).fill(one)])
  },
  'bignums of 8 bytes': list([0xc2, 0x48, 1, 2, 3, 4, 5, 6, 7, 8]),
  'empty bignums': list([0xc2, 0x40]),
  'empty maps': list([0xa0]),
  'maps of one': list([0xa1, 0x61, 0x61, 0]),
  'empty lists': list([0x80]),
  'empty texts': list([0x60]),
  'empty bytes': list([0x40]),
  'empty typed arrays': list([0xd8, 86, 0x40]),
  'small integers': list([0]),
  floats: list([0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]),
  'halves of surrogates': list([0xd9, 0x01, 0x11, 0x43, 0xed, 0xa0, 0x80]),
  'long text': bytes => repeat(head(3, bytes), [0x61], bytes),
  'long text of two bytes each': bytes => repeat(head(3, bytes), [0xc3, 0xa9], bytes / 2),
  'many keys': map(i => `k${i.toString(36)}`),
  'keys that are integers': map(i => String(1_000_000 + 8 * i)),
  'keys that are integers far apart': map(i => String(i * 65_536)),
  'keys twice': map(() => 'a'),
  'lists, 200 deep': bytes => {
    const one = [...Array(200).fill(0x81), 0x80]
    return list(one)(bytes)
  },
  'endlessly deep lists': bytes => repeat([], [0x81], bytes),
  'endlessly deep maps': bytes => repeat([], [0xa1, 0x61, 0x61], bytes / 3),
  'endless tags': bytes => repeat([], [0xc2], bytes),
  'endless list': bytes => repeat([0x9f], [0], bytes),
  'endless text': bytes => repeat([0x7f], [0x61, 0x61], bytes / 2),
  'endless bytes': bytes => repeat([0x5f], [0x41, 0], bytes / 2),
  'lists of 2^32': bytes => repeat([], [0x9a, 255, 255, 255, 255], bytes / 5),
  'lists of 2^53': bytes => repeat([], [0x9b, 0, 0x1f, 255, 255, 255, 255, 255, 255], bytes / 9),
  'maps of 2^32': bytes => repeat([], [0xba, 255, 255, 255, 255], bytes / 5),
  'nothing but breaks': bytes => repeat([], [0xff], bytes)
}
