import type { Disk } from './disk.ts'

/** Entries that were kept and are not there any more. */
export interface Hole {
  from: number
  to: number
}

/** An empty file: first and last entry that are missing. */
const MARKER = /^(\d{16})-(\d{16})\.bad$/
export const pad = (seq: number): string => String(seq).padStart(16, '0')
const nameOf = ({ from, to }: Hole): string => `${pad(from)}-${pad(to)}.bad`
const EMPTY = new Uint8Array()

/** What is missing of a chain, kept as names of files. A crash on the way leaves too many, never too few. */
export function createHoles(disk: Disk, files: readonly { name: string }[]) {
  const holes: Hole[] = files
    .map(({ name }) => MARKER.exec(name))
    .filter(match => match != null)
    .map(([, from, to]) => ({ from: Number(from), to: Number(to) }))
  sort()

  function sort(): void {
    holes.sort((a, b) => a.from - b.from || a.to - b.to)
  }

  async function add(hole: Hole): Promise<void> {
    if (holes.some(({ from, to }) => from === hole.from && to === hole.to)) return
    await disk.append(nameOf(hole), EMPTY)
    holes.push(hole)
    sort()
  }

  async function remove(hole: Hole): Promise<void> {
    await disk.remove(nameOf(hole))
    holes.splice(holes.indexOf(hole), 1)
  }

  return {
    list: holes as readonly Hole[],
    at: (seq: number): Hole | undefined => holes.find(({ from, to }) => seq >= from && seq <= to),
    add,
    /** These entries are there again, or nobody has them any more. */
    async close({ from, to }: Hole): Promise<void> {
      for (const hole of holes.filter(each => each.from <= to && each.to >= from)) {
        // what is still missing is said first
        if (hole.from < from) await add({ from: hole.from, to: from - 1 })
        if (hole.to > to) await add({ from: to + 1, to: hole.to })
        await remove(hole)
      }
    }
  }
}
