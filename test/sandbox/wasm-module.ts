/**
 * Assembles a small WebAssembly module by hand: one memory, one mutable global (i32) and one function of no arguments under the name `name`.
 * `imports` are functions of WASI preview 1 of type (i32, i32, i32, i32) → i32; instructions are given as hex.
 */
export function wasmModule({
  body,
  name = 'main',
  imports = [],
  result
}: {
  body: string
  name?: string
  /** it gives an i32 */
  result?: boolean
  imports?: string[]
}): Uint8Array {
  const text = (s: string) => vector(Buffer.from(s))
  const section = (id: number, ...content: number[][]) => [id, ...vector(content.flat())]
  const code = [0, ...Buffer.from(body.replaceAll(' ', ''), 'hex'), 0x0b]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      [2],
      result ? [0x60, 0, 1, 0x7f] : [0x60, 0, 0],
      [0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f]
    ),
    ...(imports.length === 0
      ? []
      : section(
          2,
          [imports.length],
          ...imports.map(one => [...text('wasi_snapshot_preview1'), ...text(one), 0, 1])
        )),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 2]),
    ...section(6, [1, 0x7f, 1, 0x41, 0, 0x0b]), // a mutable i32, 0
    ...section(7, [2], [...text(name), 0, imports.length], [...text('memory'), 2, 0]),
    ...section(10, [1], vector(code))
  ])
}

function vector(content: ArrayLike<number>): number[] {
  return [...leb(content.length), ...Array.from(content)]
}

function leb(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)]
}
