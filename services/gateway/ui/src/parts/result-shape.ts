/*
 * What a result is, so that it can be shown as such. Pure.
 */

export interface Picture {
  width: number
  height: number
  /** RGBA */
  pixels: Uint8ClampedArray<ArrayBuffer>
}

export interface Lines {
  names: string[]
  /** x, then one list per name */
  data: number[][]
}

export interface Rows {
  columns: string[]
  rows: unknown[][]
  total: number
}

export interface Views {
  /** data: URL of an image file */
  image?: string
  picture?: Picture
  lines?: Lines
  rows?: Rows
  /** a single value, to be read at a glance */
  single?: string
}

/** Rows beyond are in the file only. */
const MAX_ROWS = 1000
const PAIR = ['key', 'value']
const MIN_SIDE = 8
const MAX_PIXELS = 64e6
const FILES: [start: string, type: string][] = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['R0lGOD', 'image/gif']
]
const MIN_FILE_CHARS = 60
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

export function viewsOf(value: unknown): Views {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return scalar(value)
  if (Array.isArray(value)) return listViews(value)
  if (isObject(value)) return objectViews(value)
  return {}
}

function scalar(value: unknown): Views {
  if (typeof value === 'string' && value.length >= MIN_FILE_CHARS) {
    const file = FILES.find(([start]) => value.startsWith(start))
    if (file != null && BASE64.test(value)) return { image: `data:${file[1]};base64,${value}` }
    return {}
  }
  return { single: String(value) }
}

function listViews(list: unknown[]): Views {
  if (list.length === 0) return {}
  const picture = pictureOf(list)
  if (picture != null) return { picture }
  if (isNumbers(list))
    return list.length < 2 ? {} : { lines: { names: ['y'], data: [list.map((_, index) => index), list] } }
  if (list.every(isObject)) {
    const columns = [...new Set(list.slice(0, MAX_ROWS).flatMap(row => Object.keys(row)))]
    const rows = list.slice(0, MAX_ROWS).map(row => columns.map(column => row[column]))
    return { rows: { columns, rows, total: list.length } }
  }
  if (list.every(Array.isArray)) {
    const width = Math.max(...list.slice(0, MAX_ROWS).map(row => row.length))
    if (width > 30) return {}
    const isPairs = width === 2 && list.every(row => typeof row[0] === 'string')
    const columns = isPairs ? PAIR : Array.from({ length: width }, (_, index) => String(index + 1))
    return { rows: { columns, rows: list.slice(0, MAX_ROWS), total: list.length } }
  }
  return {
    rows: {
      columns: ['#', ''],
      rows: list.slice(0, MAX_ROWS).map((each, i) => [i, each]),
      total: list.length
    }
  }
}

function objectViews(value: Record<string, unknown>): Views {
  const { rows, cols, width, height, data } = value
  if (isCount(rows) && isCount(cols) && Array.isArray(data) && data.length === rows * cols) {
    const cut = Array.from({ length: Math.min(rows, MAX_ROWS) }, (_, r) =>
      data.slice(r * cols, r * cols + Math.min(cols, 30))
    )
    return { rows: { columns: cut[0]!.map((_, c) => String(c + 1)), rows: cut, total: rows } }
  }
  const [only, ...others] = Object.values(value)
  if (others.length === 0 && isObject(only) && isNumbers(only.dims) && only.dims.length === 2)
    return objectViews({ rows: only.dims[0], cols: only.dims[1], data: only.data })
  if (isCount(width) && isCount(height) && width * height <= MAX_PIXELS) {
    const bytes = bytesOf(data ?? value.pixels)
    if (bytes != null && bytes.length > 0 && bytes.length % (width * height) === 0) {
      const picture = paint(bytes, width, height, bytes.length / (width * height))
      if (picture != null) return { picture }
    }
  }
  const lists = Object.entries(value).filter(
    (entry): entry is [string, number[]] => isNumbers(entry[1]) && entry[1].length > 1
  )
  const length = lists[0]?.[1].length
  if (length != null && lists.every(([, list]) => list.length === length)) {
    const x = Array.from({ length }, (_, index) => index)
    return { lines: { names: lists.map(([name]) => name), data: [x, ...lists.map(([, list]) => list)] } }
  }
  const entries = Object.entries(value)
  const course = entries.map(([, each]) => courseOf(each)).find(each => each != null)
  if (course != null) return { lines: course }
  if (entries.length === 0) return {}
  const sorted = entries.every(([, each]) => typeof each === 'number')
    ? entries.toSorted((a, b) => Number(b[1]) - Number(a[1]))
    : entries
  return { rows: { columns: PAIR, rows: sorted.slice(0, MAX_ROWS), total: entries.length } }
}

/** What changes from step to step, as the epochs of a training: a line per field. */
function courseOf(list: unknown): Lines | undefined {
  if (!Array.isArray(list) || list.length < 2 || !list.every(isObject)) return undefined
  const names = Object.keys(list[0]!)
  if (names.length === 0 || !list.every(each => names.every(name => typeof each[name] === 'number')))
    return undefined
  return {
    names,
    data: [list.map((_, index) => index + 1), ...names.map(name => list.map(each => each[name] as number))]
  }
}

/** Rows of grey values or of RGB(A), as lists or as bytes (base64 in JSON). */
function pictureOf(list: unknown[]): Picture | undefined {
  if (list.length < MIN_SIDE) return undefined
  const first = bytesOf(list[0])
  if (first == null || first.length < MIN_SIDE || first.length * list.length > MAX_PIXELS) return undefined
  const bytes = new Uint8Array(first.length * list.length)
  for (const [index, each] of list.entries()) {
    const row = bytesOf(each)
    if (row?.length !== first.length) return undefined
    bytes.set(row, index * first.length)
  }
  const isOpaque = first.length % 4 === 0 && first.every((byte, index) => index % 4 !== 3 || byte === 255)
  const isPixels = Array.isArray(list[0]) && Array.isArray(list[0][0])
  const channels = isPixels ? (list[0] as unknown[][])[0]!.length : isOpaque ? 4 : 1
  return paint(bytes, first.length / channels, list.length, channels)
}

function paint(bytes: Uint8Array, width: number, height: number, channels: number): Picture | undefined {
  if (![1, 3, 4].includes(channels) || !Number.isInteger(width)) return undefined
  const pixels = new Uint8ClampedArray(width * height * 4)
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = pixel * channels
    for (let channel = 0; channel < 3; channel++)
      pixels[pixel * 4 + channel] = bytes[from + (channels === 1 ? 0 : channel)]!
    pixels[pixel * 4 + 3] = channels === 4 ? bytes[from + 3]! : 255
  }
  return { width, height, pixels }
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (Array.isArray(value)) {
    const flat: unknown[] = Array.isArray(value[0]) ? value.flat() : value
    return flat.every(isByte) ? Uint8Array.from(flat) : undefined
  }
  if (typeof value !== 'string' || value.length < MIN_SIDE || value.length % 4 !== 0 || !BASE64.test(value))
    return undefined
  return Uint8Array.from(atob(value), char => char.charCodeAt(0))
}

const isByte = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(each => typeof each === 'number')
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
