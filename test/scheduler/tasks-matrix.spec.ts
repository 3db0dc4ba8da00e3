import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { determinant, inverse, LuDecomposition, Matrix } from 'ml-matrix'
import { encodeValue } from '../../sandbox/index.ts'
import { gemmKernel } from '../../scheduler/tasks/matrix/gemm-kernel.ts'
import { createProduct } from '../../scheduler/tasks/matrix/multiply.ts'
import { parseSpec } from '../../scheduler/tasks/parse-spec.ts'
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

describe('matrix', () => {
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

  const eye = (n: number): Value => matrixOf(n, n, (i, j) => (i === j ? 1 : 0))
  const matrixOf = (rows: number, cols: number, at: (i: number, j: number) => number): Value => ({
    rows,
    cols,
    data: Float64Array.from({ length: rows * cols }, (_, n) => at(Math.floor(n / cols), n % cols))
  })
  const shapes: [string, Value][] = [
    ['square', randomMatrix(8, 8, 1)],
    ['tall', randomMatrix(9, 5, 2)],
    ['wide', randomMatrix(5, 9, 3)],
    ['one row', randomMatrix(1, 7, 4)],
    ['one column', randomMatrix(7, 1, 5)],
    ['one number', randomMatrix(1, 1, 6)],
    ['zeros', matrixOf(3, 4, () => 0)],
    ['singular', matrixOf(4, 4, (i, j) => i + j)],
    ['huge', matrixOf(3, 4, (i, j) => 1e300 * (1 + ((i * 7 + j * 3) % 5)))],
    ['tiny', matrixOf(4, 3, (i, j) => 1e-300 * (1 + ((i * 7 + j * 3) % 5)))],
    ['huge beside tiny', matrixOf(2, 2, (i, j) => (i === j ? 1e200 : 1e-200))]
  ]
  for (const [name, a] of shapes) {
    it(`factors a matrix that is ${name}: a = p⁻¹ l u = q r = u s vᵀ, in the reduced shapes`, async () => {
      const k = Math.min(a.rows, a.cols)
      const top = Math.max(...a.data.map(Math.abs)) || 1
      const scaled = (m: Value): Value => ({ ...m, data: m.data.map(x => x / top) as Float64Array })
      const isTriangle = (m: Value, isZero: (i: number, j: number) => boolean): boolean =>
        m.data.every((x, n) => !isZero(Math.floor(n / m.cols), n % m.cols) || x === 0)

      const { l, u, p } = await result('lu', a)
      assert.deepEqual([l.rows, l.cols, u.rows, u.cols], [a.rows, k, k, a.cols])
      assert.ok(isTriangle(l, (i, j) => i < j) && isTriangle(u, (i, j) => i > j))
      assert.ok(
        l.data.every((x: number) => Math.abs(x) <= 1),
        'the largest pivot is taken'
      )
      const permuted = matrixOf(a.rows, a.cols, (i, j) => at(a, p[i], j))
      assertClose(product(l, scaled(u)), scaled(permuted))

      const { q, r } = await result('qr', a)
      assert.deepEqual([q.rows, q.cols, r.rows, r.cols], [a.rows, k, k, a.cols])
      assertClose(product(turned(q), q), eye(k))
      assert.ok(isTriangle(r, (i, j) => i > j))
      assertClose(product(q, scaled(r)), scaled(a))

      const svd = await result('svd', a)
      assert.deepEqual([svd.u.rows, svd.u.cols, svd.v.rows, svd.v.cols], [a.rows, k, a.cols, k])
      assertClose(product(turned(svd.u), svd.u), eye(k))
      assertClose(product(turned(svd.v), svd.v), eye(k))
      assert.ok([...svd.s].every((x, i) => x >= 0 && (i === 0 || x <= svd.s[i - 1])))
      const us = matrixOf(a.rows, k, (i, j) => at(svd.u, i, j) * (svd.s[j] / top))
      assertClose(product(us, turned(svd.v)), scaled(a))
    })
  }

  it('solves tall systems by least squares, wide ones by the least norm', async () => {
    const tall = randomMatrix(9, 4, 7)
    const b = randomMatrix(9, 1, 8)
    const x = await result('solve', tall, b)
    const fitted = product(tall, x)
    const residual = matrixOf(9, 1, i => b.data[i]! - fitted.data[i]!)
    assertClose(
      product(turned(tall), residual),
      matrixOf(4, 1, () => 0)
    )

    const wide = randomMatrix(3, 6, 9)
    const c = randomMatrix(3, 1, 10)
    const least = await result('solve', wide, c)
    assertClose(product(wide, least), c)
    // the least one lies in the space of the rows: x = aᵀ y
    const { q } = await result('qr', turned(wide))
    assertClose(product(q, product(turned(q), least)), least)
  })

  it('gives a determinant wherever float64 holds it', async () => {
    assert.equal(
      await result(
        'determinant',
        matrixOf(2, 2, (i, j) => 1 + 2 * i + j)
      ),
      -2
    )
    assert.equal(
      await result(
        'determinant',
        matrixOf(2, 2, () => 1e160)
      ),
      0
    )
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

  it('finds the eigenvalues of any finite square matrix: their powers sum to the traces of its powers', async () => {
    const matrices = [
      // the iteration of hqr2 without end, known from JAMA
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1],
      [0, 1, 0, 0, 0, 1, 1, 0, 0],
      [1, 2, 2, 4],
      [0, 0, 0, 0],
      [7],
      [...randomMatrix(9, 9, 11).data]
    ]
    for (const numbers of matrices) {
      for (const scale of [1, 1e300, 1e-300]) {
        const n = Math.sqrt(numbers.length)
        const a = { rows: n, cols: n, data: Float64Array.from(numbers, x => x * scale) }
        const { real, imaginary } = await result('eigenvalues', a)
        const unit = { ...a, data: Float64Array.from(numbers) }
        let power: Value = unit
        let powers = Array.from(real as number[], (x, i) => [x / scale, imaginary[i] / scale] as const)
        for (let k = 1; k <= n; k++) {
          const trace = Array.from({ length: n }, (_, i) => at(power, i, i)).reduce((sum, x) => sum + x, 0)
          const sum = powers.reduce(([x, y], [re, im]) => [x + re, y + im], [0, 0])
          assert.ok(
            Math.abs(sum[0]! - trace) < 1e-6 && Math.abs(sum[1]!) < 1e-6,
            `${sum} for ${trace}, k ${k}`
          )
          power = product(power, unit)
          powers = powers.map(([re, im], i) => {
            const [x, y] = [real[i] / scale, imaginary[i] / scale]
            return [re * x - im * y, re * y + im * x] as const
          })
        }
      }
    }
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
    ...['lu', 'qr', 'svd', 'eigenvalues'].flatMap(operation =>
      [Number.NaN, Number.POSITIVE_INFINITY].map((odd): (typeof refusals)[number] => [
        `${operation} of a matrix with ${odd}`,
        operation,
        { rows: 2, cols: 2, data: Float64Array.of(1, 2, odd, 4) },
        undefined,
        new RegExp(`a.data: has ${odd} in row 1, column 0`)
      ])
    ),
    [
      'rows that fit into no message',
      'multiply',
      { rows: 8, cols: 2_100_000, data: new Float32Array(16_800_000) },
      { rows: 2_100_000, cols: 1, data: new Float32Array(2_100_000) },
      // 64 MiB but for an envelope of 64 KiB, in 8 rows of 4 bytes each
      /a\.cols: 2100000 columns, at most 2095104; cut a and b there/
    ],
    ['mixed precision', 'add', square, randomMatrix(2, 2, 1, true), /b\.data: a and b must both be/]
  ]
  for (const [name, operation, a, b, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseSpec({ type: 'matrix', operation, a, b }), { name: 'SpecError', message })
    })
  }
})
