import { driverSource } from '../drivers.ts'
import type { Matrix } from '../fields.ts'

/** true for what only moves numbers: `moveNumbers` does it */
export const isMove = (operation: string): boolean => ['add', 'subtract', 'transpose'].includes(operation)

/** Self-contained, runs on both sides. */
export function moveNumbers({ operation, a, b }: { operation: string; a: Matrix; b?: Matrix }): Matrix {
  const { rows, cols } = a
  const from = a.data
  const data = from instanceof Float64Array ? new Float64Array(from.length) : new Float32Array(from.length)
  if (operation === 'transpose') {
    const EDGE = 32 // blocks of this size are read and written within the first-level cache
    for (let top = 0; top < rows; top += EDGE) {
      for (let left = 0; left < cols; left += EDGE) {
        const bottom = Math.min(rows, top + EDGE)
        const right = Math.min(cols, left + EDGE)
        for (let i = top; i < bottom; i++)
          for (let j = left; j < right; j++) data[j * rows + i] = from[i * cols + j] as number
      }
    }
    return { rows: cols, cols: rows, data }
  }
  const other = b!.data
  if (operation === 'add')
    for (let i = 0; i < data.length; i++) data[i] = (from[i] as number) + (other[i] as number)
  else for (let i = 0; i < data.length; i++) data[i] = (from[i] as number) - (other[i] as number)
  return { rows, cols, data }
}

export const MOVE_DRIVER = driverSource(() => moveNumbers, { moveNumbers })
