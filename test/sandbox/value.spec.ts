import { strict as assert } from 'node:assert'
import * as cborg from 'cborg'
import fc from 'fast-check'
import { decodeValue, encodeValue, valueCodec } from '../../sandbox/index.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

describe('sandbox value codec', () => {
  // RFC 8949 appendix A, and RFC 8746 for the typed arrays
  const vectors: [unknown, string][] = [
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [1000000, '1a000f4240'],
    [1000000000000, '1b000000e8d4a51000'],
    [-1, '20'],
    [-1000, '3903e7'],
    [9007199254740991, '1b001fffffffffffff'],
    [9007199254740992, 'fb4340000000000000'],
    [1.1, 'fb3ff199999999999a'],
    [-4.1, 'fbc010666666666666'],
    [-0, 'fb8000000000000000'],
    [Number.NaN, 'fb7ff8000000000000'],
    [Number.POSITIVE_INFINITY, 'fb7ff0000000000000'],
    [18446744073709551616n, 'c249010000000000000000'],
    [-18446744073709551617n, 'c349010000000000000000'],
    [1n, 'c24101'],
    [0n, 'c240'],
    [false, 'f4'],
    [null, 'f6'],
    [undefined, 'f7'],
    ['', '60'],
    ['ü', '62c3bc'],
    ['水', '63e6b0b4'],
    ['\u{10151}', '64f0908591'],
    ['\ud800', 'd9011143eda080'],
    [new Uint8Array([1, 2, 3, 4]), '4401020304'],
    [[1, [2, 3], [4, 5]], '8301820203820405'],
    [{ a: 1, b: [2, 3] }, 'a26161016162820203'],
    [new Uint16Array([1, 0x203]), 'd8454401000302'],
    [new Float64Array([1]), 'd85648000000000000f03f'],
    [new BigInt64Array([-1n]), 'd84f48ffffffffffffffff']
  ]
  for (const [value, bytes] of vectors) {
    it(`writes and reads ${bytes}`, () => {
      assert.equal(hex(encodeValue(value)), bytes)
      assert.deepStrictEqual(decodeValue(unhex(bytes)), value)
    })
  }

  const plain = fc.letrec(tie => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, undefined, true, false),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).map(x => x + 0), // cborg writes -0 as 0; ours is in the table above
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array(),
      fc.array(tie('any')),
      fc.dictionary(fc.string(), tie('any'), { noNullPrototype: true })
    )
  })).any

  it('writes what cborg writes, for everything both know', () => {
    fc.assert(
      fc.property(plain, value => {
        const options = { float64: true, mapSorter: (() => 0) as never }
        assert.equal(hex(encodeValue(value)), hex(cborg.encode(value, options)))
      })
    )
  })

  it('gives back what it took', () => {
    fc.assert(
      fc.property(fc.oneof(plain, fc.bigInt(), fc.string({ unit: 'binary' }), fc.float64Array()), value => {
        assert.deepStrictEqual(decodeValue(encodeValue(value)), value)
      })
    )
  })

  it('treats long strings alike by its own loops, by the engine’s, and as slices of a text', () => {
    const own = valueCodec()
    const ascii = fc.string({ unit: 'binary-ascii', minLength: 20, maxLength: 200 })
    const long = fc.array(fc.oneof(ascii, fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 6 })
    fc.assert(
      fc.property(fc.array(long), fc.nat(), fc.nat(255), (texts, place, byte) => {
        const value = texts.map(parts => parts.join(''))
        const bytes = encodeValue(value)
        assert.equal(hex(own.encode(value, 1 << 20)), hex(bytes))
        bytes[place % bytes.length] = byte
        const text = [Buffer.from(bytes).toString('latin1')]
        const readings = [
          () => decodeValue(bytes),
          () => own.decode(bytes, 0, bytes.length),
          () => own.decode(bytes, 0, bytes.length, undefined, text)
        ].map(read => {
          try {
            return { value: read() }
          } catch (error) {
            return (error as Error).message
          }
        })
        assert.deepStrictEqual(readings[1], readings[0])
        assert.deepStrictEqual(readings[2], readings[0])
      }),
      { numRuns: 1000 }
    )
  })

  it('reads bytes only if it would write the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 24 }), bytes => {
        let value: unknown
        try {
          value = decodeValue(bytes)
        } catch (error) {
          assert.equal((error as Error).name, 'ValueError')
          return
        }
        assert.equal(hex(encodeValue(value)), hex(bytes))
      }),
      { numRuns: 5000 }
    )
  })

  it('makes every NaN of a typed array the same', () => {
    const strange = new Float64Array(new BigUint64Array([0xfff8000000000123n, 0x3ff0000000000000n]).buffer)
    assert.equal(hex(encodeValue(strange)), 'd85650000000000000f87f000000000000f03f')
  })

  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  const refused: [string, unknown][] = [
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a promise', Promise.resolve(1)],
    ['a Map', new Map()],
    ['a Date', new Date(0)],
    ['a cycle', cyclic],
    [
      'a throwing getter',
      {
        get a() {
          throw new Error('no')
        }
      }
    ],
    [
      'a throwing proxy',
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('no')
          }
        }
      )
    ],
    ['a hole of four billion', new Array(2 ** 32 - 1)]
  ]
  for (const [name, value] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => encodeValue(value, { maxBytes: 1000 }), { name: 'ValueError' })
      assert.equal(hex(encodeValue(7)), '07') // and works on
    })
  }

  it('takes exactly as many bytes as it is allowed', () => {
    fc.assert(
      fc.property(plain, value => {
        const { byteLength } = encodeValue(value)
        assert.equal(encodeValue(value, { maxBytes: byteLength }).byteLength, byteLength)
        assert.throws(() => encodeValue(value, { maxBytes: byteLength - 1 }), { name: 'ValueError' })
      })
    )
  })

  it('refuses more than maxBytes and keeps exactly maxBytes', () => {
    assert.equal(encodeValue(new Uint8Array(995), { maxBytes: 998 }).byteLength, 998)
    assert.throws(() => encodeValue(new Uint8Array(996), { maxBytes: 998 }), { name: 'ValueError' })
    assert.throws(() => decodeValue(new Uint8Array(11), { maxBytes: 10 }), { name: 'ValueError' })
  })
})
