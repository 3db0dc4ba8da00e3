import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { libm } from '../../sandbox/libm.ts'

const math = libm()
const names = Object.keys(math) as (keyof typeof math)[]

function double(hex: string): number {
  return Buffer.from(hex, 'hex').readDoubleBE()
}

/** How many doubles apart; equal numbers and two NaN are 0. */
function distance(a: number, b: number): number {
  if (Object.is(a, b)) return 0
  const place = (x: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(x)
    const bits = bytes.readBigInt64BE()
    return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
  }
  return Number(place(a) > place(b) ? place(a) - place(b) : place(b) - place(a))
}

describe('sandbox: mathematics', () => {
  const vectors = readFileSync(new URL('./libm-vectors.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(' '))
  // the published bounds of fdlibm and msun: one unit in the last place, the hyperbolic ones two to three
  const LOOSE = new Set(['sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh', 'hypot'])

  for (const name of names) {
    it(`${name} is as near to the truth as published`, () => {
      const own = vectors.filter(([function_]) => function_ === name)
      assert.ok(own.length >= 30)
      for (const [, x, y, expected] of own) {
        const args = y === '-' ? [double(x!)] : [double(x!), double(y!)]
        const got =
          name === 'hypot' ? math.hypot(args) : (math[name] as (...args: number[]) => number)(...args)
        assert.ok(
          distance(got, double(expected!)) <= (LOOSE.has(name) ? 3 : 1),
          `${name}(${args}) = ${got}, not ${double(expected!)}`
        )
      }
    })
  }

  it('keeps the special values of ECMAScript', () => {
    const specials = [
      0,
      -0,
      1,
      -1,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      2,
      -2,
      0.5,
      -3
    ]
    const isSpecial = (x: number) => x === 0 || Number.isNaN(x) || Math.abs(x) === Number.POSITIVE_INFINITY
    for (const name of names) {
      const theirs = Math[name] as (...args: number[]) => number
      for (const x of specials) {
        for (const y of ['pow', 'atan2', 'hypot'].includes(name) ? specials : [undefined]) {
          const args = y === undefined ? [x] : [x, y]
          const expected = theirs(...args)
          const got = name === 'hypot' ? math.hypot(args) : (math[name] as typeof theirs)(...args)
          if (isSpecial(expected))
            assert.ok(Object.is(got, expected), `${name}(${args}) = ${got}, not ${expected}`)
        }
      }
    }
  })

  it('gives exact integer powers exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: -300, max: 300 }), fc.integer({ min: 0, max: 60 }), (base, exponent) => {
        const exact = BigInt(base) ** BigInt(exponent)
        assert.equal(math.pow(base, exponent), Number(exact))
      }),
      { numRuns: 2_000 }
    )
  })

  it('gives logarithms of powers exactly', () => {
    for (let n = -1074; n < 1024; n++) assert.equal(math.log2(2 ** n), n)
    for (let n = 0; n <= 22; n++) assert.equal(math.log10(Number(`1e${n}`)), n)
  })
})
