import { strict as assert } from 'node:assert'
import { PassThrough } from 'node:stream'
import { decodeBounded, fromBytes } from '../../ledger/records/codec.ts'
import { readFrames } from '../../sandbox/frames.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { hostileShapes } from '../sandbox/hostile-bytes.ts'

const BYTES = 1 << 20
/** Of one byte each: what costs a decoder most. */
const MANY_VALUES = [
  'empty maps',
  'empty lists',
  'empty texts',
  'empty bytes',
  'small integers',
  'maps of one'
]

describe('decoders, given what costs them most', () => {
  for (const [shape, make] of Object.entries(hostileShapes)) {
    it(`${shape}: are read or refused by name`, () => {
      const bytes = make(BYTES)
      const decoders: [string, () => unknown][] = [
        ['ValueError', () => decodeValue(bytes)],
        ['ValueError', () => decodeValue(bytes, { maxItems: 10_000 })],
        ['MalformedError', () => fromBytes(bytes, bytes.length, 'a message')]
      ]
      for (const [name, decode] of decoders) {
        try {
          decode()
        } catch (error) {
          assert.equal((error as Error).name, name)
          assert.ok((error as Error).message.length < 300)
        }
      }
    })
  }

  for (const shape of MANY_VALUES) {
    it(`${shape}: a message of more values than its limit is refused, one of as many is not`, () => {
      const bytes = hostileShapes[shape]!(BYTES)
      assert.throws(() => decodeValue(bytes, { maxItems: 100_000 }), {
        name: 'ValueError',
        message: /values/
      })
      assert.throws(() => fromBytes(bytes, BYTES * 2, 'a message'), {
        name: 'MalformedError',
        message: /values/
      })
      const [small, items] = [hostileShapes[shape]!(4_000), shape === 'maps of one' ? 3_001 : 4_001]
      decodeValue(small, { maxItems: items })
      decodeBounded(small, items)
      assert.throws(() => decodeValue(small, { maxItems: items - 1 }), { name: 'ValueError' })
      assert.throws(() => decodeBounded(small, items - 1), RangeError)
    })
  }

  it('takes bignums up to 1 MiB and says so of larger ones, on both ways', () => {
    const largest = 2n ** 8_388_608n - 1n
    assert.equal(decodeValue(encodeValue(largest)), largest)
    assert.equal(decodeValue(encodeValue(-largest)), -largest)
    assert.throws(() => encodeValue(largest + 1n), { name: 'ValueError', message: /1048577 bytes/ })
    assert.throws(() => decodeValue(hostileShapes['one bignum']!(BYTES + 1)), {
      name: 'ValueError',
      message: /1048577 bytes/
    })
  })

  it('refuses dag-cbor of a stranger that is deeper than 64 levels, however it is made', () => {
    const deep = (levels: number) => new Uint8Array(levels).fill(0x81).with(levels - 1, 0x80)
    decodeBounded(deep(65))
    assert.throws(() => decodeBounded(deep(66)), /deeper than 64/)
    assert.throws(() => decodeBounded(hostileShapes['endlessly deep maps']!(BYTES)), /deeper than 64/)
    // siblings are no depth
    assert.equal((decodeBounded(hostileShapes['empty lists']!(1_000)) as unknown[]).length, 1_000)
  })

  it('ends a child whose frame is longer than allowed before a byte of it is kept', async () => {
    const stream = new PassThrough()
    const wild = new Promise<void>(resolve =>
      readFrames(stream, { maxBytes: () => 1_000, onFrame: () => assert.fail('a frame'), onWild: resolve })
    )
    stream.write(Buffer.alloc(1 << 20, 0xff))
    await wild
  })
})
