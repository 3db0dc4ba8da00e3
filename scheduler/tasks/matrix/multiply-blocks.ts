import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import type { NumberedPart, Work } from '../contract.ts'
import type { Matrix } from '../fields.ts'
import type { Numbers } from './multiply.ts'

// The right matrix travels as one message of at most 64 MiB, beside the driver.
const BLOCK_BYTES = 32 * 1024 * 1024

/** How many columns of `b` travel together, when they cannot all; undefined where they can. */
export function columnsPerBlock(b: Matrix): number | undefined {
  if (b.data.byteLength <= BLOCK_BYTES) return
  return Math.max(1, Math.floor(BLOCK_BYTES / (b.rows * b.data.BYTES_PER_ELEMENT)))
}

/** A product with a large right matrix: one part per block of `width` of its columns, each a product of its own. */
export function blockedProduct(
  { a, b, width }: { a: Matrix; b: Matrix; width: number },
  workOf: (block: { b: Matrix }) => Work
): Work {
  const starts = Array.from({ length: Math.ceil(b.cols / width) }, (_, i) => i * width)
  const works = starts.map(from => workOf({ b: columns(b, from, Math.min(b.cols, from + width)) }))
  return {
    total: works.reduce((sum, { total }) => sum + total, 0),
    async next(completed, run) {
      if (completed != null) return []
      const parts = await Promise.all(works.map(work => work.next(undefined, run)))
      return parts.flatMap((own, index) =>
        own.map(([, part]): NumberedPart => {
          part.share = [1, works.length]
          return [index, part]
        })
      )
    },
    async finish(run) {
      const Kind = a.data.constructor as new (length: number) => Numbers
      const data = new Kind(a.rows * b.cols)
      for (const [index, work] of works.entries()) {
        const block = decodeValue(await work.finish(run)) as { cols: number; data: Numbers }
        for (let i = 0; i < a.rows; i++)
          data.set(block.data.subarray(i * block.cols, (i + 1) * block.cols), i * b.cols + starts[index]!)
      }
      return encodeValue({ rows: a.rows, cols: b.cols, data })
    }
  }
}

function columns({ rows, cols, data }: Matrix, from: number, to: number): Matrix {
  const Kind = data.constructor as new (length: number) => typeof data
  const cut = new Kind(rows * (to - from))
  for (let i = 0; i < rows; i++) cut.set(data.subarray(i * cols + from, i * cols + to), i * (to - from))
  return { rows, cols: to - from, data: cut }
}
