import type { Slices } from '../api/wire.ts'

/** More squares than this are too small to see. */
const MAX_CELLS = 1600

export interface Cell {
  /** first unit of the whole job, and how many */
  first: number
  count: number
  /** who gave its result; several where it was replicated */
  workers: string[]
  paid: bigint
  /** leased now, by whom */
  open?: string
}

/** Units of a job as cells, in order. Parts follow each other; each cell shows the slice at its first unit. Pure. */
export function cellsOf({ items, open }: Slices, total: number, most = MAX_CELLS): Cell[] {
  const sizes = new Map<number, number>()
  for (const { part, first, count } of [...items, ...open])
    sizes.set(part, Math.max(sizes.get(part) ?? 0, first + count))
  // what nobody took yet comes last
  const parts = [...sizes.keys()].sort((a, b) => a - b)
  const starts = new Map<number, number>()
  let at = 0
  for (const part of parts) {
    starts.set(part, at)
    at += sizes.get(part)!
  }
  const units = Math.max(total, at)
  const per = Math.max(1, Math.ceil(units / most))
  const cells: Cell[] = Array.from({ length: Math.ceil(units / per) }, (_, index) => ({
    first: index * per,
    count: Math.min(per, units - index * per),
    workers: [],
    paid: 0n
  }))
  const covered = ({ part, first, count }: { part: number; first: number; count: number }): Cell[] => {
    const start = starts.get(part)! + first
    return cells.slice(Math.floor(start / per), Math.max(1, Math.ceil((start + count) / per)))
  }
  for (const slice of items)
    for (const cell of covered(slice)) {
      cell.workers = slice.workers.map(({ worker }) => worker)
      cell.paid = slice.workers.reduce((sum, { paid }) => sum + BigInt(paid), 0n)
    }
  for (const slice of open)
    for (const cell of covered(slice)) if (cell.workers.length === 0) cell.open = slice.worker
  return cells
}
