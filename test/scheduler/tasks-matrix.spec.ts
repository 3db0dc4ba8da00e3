import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { determinant, inverse, LuDecomposition, Matrix } from 'ml-matrix'
import { encodeValue } from '../../sandbox/index.ts'
import { parseSpec } from '../../scheduler/spec.ts'
import { gemmKernel } from '../../scheduler/tasks/gemm-kernel.ts'
import { createProduct } from '../../scheduler/tasks/multiply.ts'
import { createRandom, WorkRunner } from './run-work.ts'

type Numbers = Float64Array | Float32Array
interface Value {
  rows: number
  cols: number
  data: Numbers
}

function randomMatrix(rows: number, cols: number, seed: number, single = false): Value {
  const random = createRandom(seed)
  const numbers = Array.from({ length: rows * cols }, () => (random() < 0.1 ? 0 : 2 * random() - 1))
  return { rows, cols, data: single ? Float32Array.from(numbers) : Float64Array.from(numbers) }
}

const make = (single: boolean, numbers: number[]): Numbers =>
  single ? Float32Array.from(numbers) : Float64Array.from(numbers)

/** The definition: each element is the sum over k from 0 on. */
function product(a: Value, b: Value): Value {
  const numbers: number[] = []
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      let sum = 0
      for (let k = 0; k < a.cols; k++) sum += a.data[i * a.cols + k]! * b.data[k * b.cols + j]!
      numbers.push(sum)
    }
  }
  return { rows: a.rows, cols: b.cols, data: make(a.data instanceof Float32Array, numbers) }
}

const at = ({ cols, data }: Value, i: number, j: number): number => data[i * cols + j]!
const toValue = (matrix: Matrix): Value => ({
  rows: matrix.rows,
  cols: matrix.columns,
  data: Float64Array.from(matrix.to1DArray())
})
const turned = (m: Value): Value => ({
  rows: m.cols,
  cols: m.rows,
  data: make(
    m.data instanceof Float32Array,
    Array.from({ length: m.data.length }, (_, n) => at(m, n % m.rows, Math.floor(n / m.rows)))
  )
})

function assertClose(actual: Value, expected: Value, most = 1e-9): void {
  assert.deepEqual([actual.rows, actual.cols], [expected.rows, expected.cols])
  actual.data.forEach((value, i) => {
    assert.ok(Math.abs(value - expected.data[i]!) <= most, `${value} for ${expected.data[i]} at ${i}`)
  })
}

const size = fc.integer({ min: 1, max: 21 })

describe('matrix', function () {
  this.timeout(60_000)
  const runner = new WorkRunner()
  before(() => runner.start())
  after(() => runner.stop())

  const run = (operation: string, a: Value, b?: Value, slice?: number, seed?: number) =>
    runner.run({ type: 'matrix', operation, a, b }, { slice, seed })
  const result = (operation: string, a: Value, b?: Value) =>
    runner.result({ type: 'matrix', operation, a, b })

  it('multiplies to the bits of the definition, for any cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        size,
        size,
        fc.boolean(),
        fc.integer(),
        fc.constantFrom(1, 2, undefined),
        async (rows, inner, cols, single, seed, slice) => {
          const a = randomMatrix(rows, inner, seed, single)
          const b = randomMatrix(inner, cols, seed + 1, single)
          assert.deepEqual(await run('multiply', a, b, slice, seed), encodeValue(product(a, b)))
        }
      ),
      { numRuns: 15 }
    )
  })

  it('multiplies with the WebAssembly kernel to the same bits as without', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 1, max: 600 }),
        size,
        fc.boolean(),
        fc.integer(),
        (rows, inner, cols, single, seed) => {
          const a = randomMatrix(rows, inner, seed, single)
          const b = randomMatrix(inner, cols, seed + 1, single).data
          const [plain, kernel] = [undefined, WebAssembly].map(wasm => {
            const out = make(single, new Array(rows * cols).fill(7))
            createProduct({ b, inner, cols }, wasm, gemmKernel())(a.data, rows, out)
            return out
          })
          assert.deepEqual(kernel, plain)
        }
      ),
      { numRuns: 30 }
    )
  })

  it('multiplies with a matrix that does not fit into one message', async () => {
    const a = randomMatrix(2, 2100, 1)
    const b = { rows: 2100, cols: 2100, data: new Float64Array(2100 * 2100) }
    for (let i = 0; i < b.data.length; i++) b.data[i] = (i % 1009) / 7
    assert.deepEqual((await result('multiply', a, b)).data, product(a, b).data)
  })

  it('keeps infinities and NaN where they belong', () => {
    const a = Float64Array.of(Number.POSITIVE_INFINITY, 1, 2, 3)
    const b = Float64Array.of(1, 0, 4, 5)
    const out = new Float64Array(4)
    createProduct({ b, inner: 2, cols: 2 }, WebAssembly, gemmKernel())(a, 2, out)
    assert.deepEqual([...out], [Number.POSITIVE_INFINITY, Number.NaN, 14, 15])
  })

  it('adds, subtracts and transposes', async () => {
    for (const single of [false, true]) {
      const a = randomMatrix(37, 53, 1, single)
      const b = randomMatrix(37, 53, 2, single)
      const each = (fn: (x: number, y: number) => number): Value => ({
        ...a,
        data: make(
          single,
          Array.from(a.data, (x, i) => fn(x, b.data[i]!))
        )
      })
      assert.deepEqual(
        await result('add', a, b),
        each((x, y) => x + y)
      )
      assert.deepEqual(
        await result('subtract', a, b),
        each((x, y) => x - y)
      )
      assert.deepEqual(await result('transpose', a), turned(a))
    }
  })

  it('gives determinant, inverse and solution as ml-matrix does', async () => {
    const a = randomMatrix(9, 9, 3)
    const b = randomMatrix(9, 2, 4)
    const given = Matrix.from1DArray(9, 9, a.data)
    assert.equal(await result('determinant', a), determinant(given))
    assert.deepEqual(await result('inverse', a), toValue(inverse(given)))
    assertClose(product(a, await result('solve', a, b)), b)
    assert.deepEqual(
      await result('solve', a, b),
      toValue(new LuDecomposition(given).solve(Matrix.from1DArray(9, 2, b.data)))
    )
  })

  it('factors: a = p⁻¹ l u = q r = u s vᵀ', async () => {
    for (const [rows, cols] of [
      [8, 8],
      [9, 5]
    ] as const) {
      const a = randomMatrix(rows, cols, rows)
      const { l, u, p } = await result('lu', a)
      const permuted = Float64Array.from(a.data)
      p.forEach((from: number, i: number) => {
        permuted.set(a.data.subarray(from * cols, (from + 1) * cols), i * cols)
      })
      assertClose(product(l, u), { ...a, data: permuted })
      const { q, r } = await result('qr', a)
      assertClose(product(q, r), a)
      const svd = await result('svd', a)
      const scaled = { ...svd.u, data: svd.u.data.map((x: number, i: number) => x * svd.s[i % svd.u.cols]) }
      assertClose(product(scaled, turned(svd.v)), a)
    }
  })

  it('finds eigenvalues, complex ones too', async () => {
    const turn = { rows: 2, cols: 2, data: Float64Array.of(0, -1, 1, 0) }
    const { real, imaginary } = await result('eigenvalues', turn)
    assertClose({ rows: 1, cols: 2, data: real }, { rows: 1, cols: 2, data: Float64Array.of(0, 0) })
    assertClose(
      { rows: 1, cols: 2, data: imaginary.toSorted() },
      { rows: 1, cols: 2, data: Float64Array.of(-1, 1) }
    )
  })

  it('gives float32 for float32', async () => {
    const { data } = await result('inverse', { rows: 1, cols: 1, data: Float32Array.of(3) })
    assert.deepEqual(data, Float32Array.of(1 / 3))
  })

  it('fails on a singular matrix with what is wrong', async () => {
    await assert.rejects(
      result('inverse', { rows: 2, cols: 2, data: Float64Array.of(1, 2, 2, 4) }),
      /singular/
    )
  })

  const square = randomMatrix(2, 2, 1)
  const refusals: [string, string, Value, Value | undefined, RegExp][] = [
    [
      'shapes that do not multiply',
      'multiply',
      square,
      randomMatrix(3, 2, 1),
      /b\.rows: a is 2 × 2 and b 3 × 2/
    ],
    ['sums of different shapes', 'add', square, randomMatrix(3, 2, 1), /b: a is 2 × 2 and b 3 × 2/],
    ['a missing second matrix', 'solve', square, undefined, /b: solve takes two matrices/],
    ['a second matrix too many', 'inverse', square, square, /b: inverse takes only `a`/],
    [
      'an inverse of no square',
      'inverse',
      randomMatrix(2, 3, 1),
      undefined,
      /a: is 2 × 3; inverse needs a square/
    ],
    ['mixed precision', 'add', square, randomMatrix(2, 2, 1, true), /b\.data: a and b must both be/]
  ]
  for (const [name, operation, a, b, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSpec({ type: 'matrix', operation, a, b }), { name: 'SpecError', message })
    })
  }
})
