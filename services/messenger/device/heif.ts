import { ascii, begins, viewOf } from './pictures.ts'

/* HEIC and AVIF: boxes in boxes (ISO/IEC 14496-12), and items that a table places in them (23008-12). */

const BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1', 'avif', 'avis']
/** Where and with what it was taken, and whatever else is no part of what is drawn. */
const TOLD_ITEMS = ['Exif', 'mime', 'uri ']
const NEEDED = ['ftyp', 'meta', 'mdat', 'moov', 'free']
const TOLD_BOXES = ['udta', 'meta', 'uuid']
const FREE = ascii('free')
/** of a box that has a version and flags */
const VERSION_BYTES = 4

interface Box {
  name: string
  /** where its name stands */
  named: number
  /** its content */
  at: number
  end: number
}
/** What cannot be read as the format has it. */
class DamagedError extends Error {
  override readonly name = 'DamagedError'
}

/**
 * A picture of a telephone without what it tells: it is overwritten in its place, for the rest is found by its distance from
 * the beginning. How it lies is not among that. Undefined: it is none, or damaged. Pure.
 */
export function heifWithout(given: Uint8Array): Uint8Array | undefined {
  if (!begins(given, ascii('ftyp'), 4)) return undefined
  try {
    const bytes = given.slice()
    const boxes = boxesIn(bytes, 0, bytes.length)
    const [type] = boxes
    const brands = Buffer.from(bytes.subarray(type!.at, type!.end)).toString('latin1')
    if (!(brands.match(/.{4}/gs) ?? []).some(brand => BRANDS.includes(brand))) return undefined
    const meta = boxes.find(({ name }) => name === 'meta')
    if (meta != null) for (const [at, end] of toldIn(bytes, meta)) bytes.fill(0, at, end)
    for (const box of boxes) {
      if (!NEEDED.includes(box.name)) blank(bytes, box)
      if (box.name === 'moov') blankWithin(bytes, box)
    }
    return bytes
  } catch (error) {
    if (error instanceof DamagedError || error instanceof RangeError) return undefined
    throw error
  }
}

function boxesIn(bytes: Uint8Array, from: number, end: number): Box[] {
  const view = viewOf(bytes)
  const boxes: Box[] = []
  for (let at = from; at < end; ) {
    const short = view.getUint32(at)
    const size = short === 0 ? end - at : short === 1 ? Number(view.getBigUint64(at + 8)) : short
    const head = short === 1 ? 16 : 8
    if (size < head || at + size > end) throw new DamagedError('a box is longer than what it is in')
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    boxes.push({ name, named: at + 4, at: at + head, end: at + size })
    at += size
  }
  return boxes
}

/** A box that nobody reads, of the same length. */
function blank(bytes: Uint8Array, { named, at, end }: Box): void {
  bytes.fill(0, at, end)
  bytes.set(FREE, named)
}

function blankWithin(bytes: Uint8Array, box: Box): void {
  for (const each of boxesIn(bytes, box.at, box.end)) {
    if (TOLD_BOXES.includes(each.name)) blank(bytes, each)
    if (each.name === 'trak') blankWithin(bytes, each)
  }
}

/** Where the items stand that tell something. */
function toldIn(bytes: Uint8Array, meta: Box): [at: number, end: number][] {
  const inside = boxesIn(bytes, meta.at + VERSION_BYTES, meta.end)
  const found = (name: string): Box | undefined => inside.find(box => box.name === name)
  const [info, places, data] = [found('iinf'), found('iloc'), found('idat')]
  if (info == null || places == null) return []
  const told = toldItems(bytes, info)
  return placesIn(bytes, places).flatMap(({ item, method, extents }) => {
    if (!told.has(item)) return []
    if (method > 1 || (method === 1 && data == null)) throw new DamagedError('an item stands in another one')
    const from = method === 1 ? data!.at : 0
    return extents.map(([offset, length]): [number, number] => {
      const at = from + offset
      if (length === 0 || at + length > bytes.length) throw new DamagedError('an item stands nowhere')
      return [at, at + length]
    })
  })
}

function toldItems(bytes: Uint8Array, info: Box): Set<number> {
  const view = viewOf(bytes)
  const counted = info.at + VERSION_BYTES + (bytes[info.at] === 0 ? 2 : 4)
  const items = boxesIn(bytes, counted, info.end).map(({ at }): [string, number] => {
    const isLong = bytes[at]! >= 3
    const item = isLong ? view.getUint32(at + VERSION_BYTES) : view.getUint16(at + VERSION_BYTES)
    // behind its number, and that of its protection
    const type = at + VERSION_BYTES + (isLong ? 6 : 4)
    return [String.fromCharCode(...bytes.subarray(type, type + 4)), item]
  })
  return new Set(items.flatMap(([type, item]) => (TOLD_ITEMS.includes(type) ? [item] : [])))
}

interface Places {
  item: number
  /** 0: from the beginning of the file, 1: in the box `idat` */
  method: number
  extents: [offset: number, length: number][]
}
function placesIn(bytes: Uint8Array, { at: from }: Box): Places[] {
  const view = viewOf(bytes)
  let at = from + VERSION_BYTES
  function read(size: number): number {
    at += size
    if (size === 0) return 0
    if (size === 8) return Number(view.getBigUint64(at - 8))
    return size === 4 ? view.getUint32(at - 4) : size === 2 ? view.getUint16(at - 2) : view.getUint8(at - 1)
  }
  const version = bytes[from]!
  const sizes = read(2)
  const [offsetBytes, lengthBytes, baseBytes, indexBytes] = [12, 8, 4, 0].map(bit => (sizes >> bit) & 15) as [
    number,
    number,
    number,
    number
  ]
  // else a few bytes could promise any number of them
  if (lengthBytes === 0) throw new DamagedError('an item has no length')
  const idBytes = version < 2 ? 2 : 4
  return Array.from({ length: read(idBytes) }, () => {
    const item = read(idBytes)
    const method = version === 0 ? 0 : read(2) & 15
    read(2)
    const base = read(baseBytes)
    const extents = Array.from({ length: read(2) }, (): [number, number] => {
      if (version > 0) read(indexBytes)
      return [base + read(offsetBytes), read(lengthBytes)]
    })
    return { item, method, extents }
  })
}
