/**
 * The inner loop of the matrix product as a WebAssembly module, put together here so that no toolchain is needed.
 *
 * tile(a, b, c, tiles, k, stride, panel): for each of `tiles` blocks of 4 rows, adds to a 4 × 4 tile of C the product
 * of a packed panel of A (for each k its 4 rows) and a packed panel of B (for each k its 4 columns). Eight f64x2
 * accumulators stay in registers. `a`, `b`, `c` are addresses; `stride` is bytes from row to row of C, `panel` bytes
 * from panel to panel of A; `k` is even and at least 2. Products are rounded before they are added (no FMA), k ascends:
 * each element has the bits of the plain loop.
 *
 * Encoding: webassembly.github.io/spec/core/binary.
 */
export function gemmKernel(): Uint8Array {
  const code = [
    ...block(
      // the tile's four rows
      ...set(C1, ...get(C), ...get(STRIDE), ADD),
      ...set(C2, ...get(C1), ...get(STRIDE), ADD),
      ...set(C3, ...get(C2), ...get(STRIDE), ADD),
      ...ROWS.flatMap(row =>
        [0, 1].flatMap(half =>
          set(accumulator(row, half), ...get(C + rowLocal(row)), ...simd(LOAD, half * 16))
        )
      ),
      ...set(P, ...get(A)),
      ...set(Q, ...get(B)),
      ...set(END, ...get(B), ...get(K), I32_CONST, ...signed(STEP_BYTES), MULTIPLY, ADD),
      ...block(
        ...step(0),
        ...step(STEP_BYTES),
        ...set(P, ...get(P), I32_CONST, ...signed(2 * STEP_BYTES), ADD),
        ...set(Q, ...get(Q), I32_CONST, ...signed(2 * STEP_BYTES), ADD),
        ...get(Q),
        ...get(END),
        LESS,
        BRANCH_IF,
        0
      ),
      ...ROWS.flatMap(row =>
        [0, 1].flatMap(half => [
          ...get(C + rowLocal(row)),
          ...get(accumulator(row, half)),
          ...simd(STORE, half * 16)
        ])
      ),
      ...set(A, ...get(A), ...get(PANEL), ADD),
      ...set(C, ...get(C3), ...get(STRIDE), ADD),
      ...set(TILES, ...get(TILES), I32_CONST, 1, SUBTRACT),
      ...get(TILES),
      BRANCH_IF,
      0
    ),
    END_OF_BLOCK
  ]
  const locals = [2, LOCAL_I32, I32, LOCAL_V128, V128]
  const body = [...locals, ...code]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, PARAMETERS, ...Array(PARAMETERS).fill(I32), 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('tile'), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body])
  ])
}

// parameters and locals by number
const [A, B, C, TILES, K, STRIDE, PANEL] = [0, 1, 2, 3, 4, 5, 6] as const
const PARAMETERS = 7
const [C1, C2, C3, P, Q, END] = [7, 8, 9, 10, 11, 12] as const
const LOCAL_I32 = 6
const FIRST_ACCUMULATOR = 13
const [B0, B1, X] = [21, 22, 23] as const
const LOCAL_V128 = 11

const ROWS = [0, 1, 2, 3]
// one k of a panel: four float64
const STEP_BYTES = 32

const accumulator = (row: number, half: number): number => FIRST_ACCUMULATOR + 2 * row + half
// C itself, or C1 to C3
const rowLocal = (row: number): number => (row === 0 ? 0 : C1 - C + row - 1)

/** One k: eight products, eight sums. */
function step(offset: number): number[] {
  return [
    ...set(B0, ...get(Q), ...simd(LOAD, offset)),
    ...set(B1, ...get(Q), ...simd(LOAD, offset + 16)),
    ...ROWS.flatMap(row => [
      ...set(X, ...get(P), ...simd(LOAD_SPLAT, offset + row * 8)),
      ...[B0, B1].flatMap((b, half) =>
        set(
          accumulator(row, half),
          ...get(accumulator(row, half)),
          ...get(X),
          ...get(b),
          ...simd(F64X2_MULTIPLY),
          ...simd(F64X2_ADD)
        )
      )
    ])
  ]
}

const I32 = 0x7f
const V128 = 0x7b
const I32_CONST = 0x41
const ADD = 0x6a
const SUBTRACT = 0x6b
const MULTIPLY = 0x6c
const LESS = 0x49
const BRANCH_IF = 0x0d
const END_OF_BLOCK = 0x0b
const LOAD = 0
const LOAD_SPLAT = 10
const STORE = 11
const F64X2_ADD = 0xf0
const F64X2_MULTIPLY = 0xf2

const get = (local: number): number[] => [0x20, local]
const set = (local: number, ...value: number[]): number[] => [...value, 0x21, local]
const block = (...body: number[]): number[] => [0x03, 0x40, ...body, END_OF_BLOCK]
/** A vector instruction; with `offset` one that reaches memory, aligned to 8 bytes. */
const simd = (operation: number, offset?: number): number[] => [
  0xfd,
  ...unsigned(operation),
  ...(offset == null ? [] : [3, ...unsigned(offset)])
]
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body]
const name = (text: string): number[] => [text.length, ...Buffer.from(text)]

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128, ...signed(value >>> 7)]
}
