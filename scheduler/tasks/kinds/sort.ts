import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { arrayHead, encodeArray, head, itemEnds, listItems, listPart } from '../../data/value-bytes.ts'
import { ProtocolError } from '../../errors.ts'
import { MESSAGE_BYTES } from '../../protocol/limits.ts'
import type { Part, Reducer, Work } from '../contract.ts'
import { type DriverTools, driverSource, encodeContext, expose, inOrder } from '../drivers.ts'
import { type Authored, author, context, inlineItems, items, readAuthored } from '../fields.ts'
import { blockSize } from '../fold-tree.ts'
import { compareKeys, isKey, type Key } from '../keys.ts'
import { defineKind, type SpecOf, type WorkTools } from '../kind.ts'

/*
 * Parallel sorting by regular sampling (Shi, Schaeffer 1992), a sample sort whose pages are of even size whatever the
 * keys are. Part 0 sorts blocks of the items into runs. Of these, samples at even steps of bytes say where the pages of
 * the result begin. Part 1 merges each page from its share of every run; the pages one after the other are the result.
 * Items of equal keys are in order by where they were, so that there is one right answer, however the work is cut.
 */

const ORDERS = ['ascending', 'descending'] as const
const fields = { items, key: author.optional(), order: z.enum(ORDERS).default('ascending'), context }
type SortSpec = Authored<SpecOf<'sort', typeof fields>, 'key'>

/** The items in order. */
export const sort = defineKind({
  type: 'sort',
  fields,
  description:
    'The items in the order of key(item), or of themselves; items of equal keys stay in their order.',
  limits: { timeoutMs: 60_000, items: 5e6 },
  streams: true,
  pipelineField: 'items',
  placeholders: () => ({ items: [] }),
  example: { type: 'sort', items: ['pear', 'fig', 'apple', 'kiwi'], key: 'word => word.length' },
  check(spec, { limit }) {
    limit('items', inlineItems(spec.items))
    return readAuthored(spec, 'key')
  },
  work: sortWork
})

// Enough runs for many workers, few enough that a page is not put together from crumbs.
const MAX_RUNS = 256
const MIN_RUN_ITEMS = 16
// Pages grow with the items, so that there are about as many as runs.
const MIN_PAGE_BYTES = 256 * 1024
const MAX_PAGES = 256

interface RunsInput {
  order: SortSpec['order']
  /** items sort by themselves */
  plain: boolean
  first: number
  size: number
  items: ArrayLike<unknown>
}
interface PagesInput {
  order: SortSpec['order']
  /** of each page its share of every run */
  pages: EncodedRun[][]
}
/** Items in order and their keys; without keys they are keys themselves. */
type EncodedRun = [items: unknown[], keys?: Key[]]

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(
  task: (item: unknown, index: number) => unknown,
  _functions: unknown,
  context: Record<string, unknown> | undefined,
  { begin, rest }: DriverTools
) {
  expose(context)
  const expectKey = (key: unknown, index: number): Key => {
    if (isKey(key)) return key
    throw new TypeError(
      `the key of item ${index} is ${key === null ? 'null' : typeof key}; a key is a number, a string, a boolean or a bigint`
    )
  }
  return (input: RunsInput | PagesInput): unknown => {
    const sign = input.order === 'descending' ? -1 : 1
    /** The places of keys in order; the sort is stable. */
    const ordered = (keys: Key[]): number[] =>
      keys.map((_, i) => i).sort((a, b) => sign * compareKeys(keys[a]!, keys[b]!))
    if ('pages' in input)
      return input.pages.map(runs => {
        const items = runs.flatMap(([own]) => own)
        return ordered(runs.flatMap(([own, keys]) => keys ?? (own as Key[]))).map(i => items[i])
      })
    const { plain, first, size, items } = input
    const call = (i: number): unknown => {
      begin(first + i)
      return plain ? items[i] : task(items[i], first + i)
    }
    const done = (found: unknown[]): unknown => {
      const keys = found.map((key, i) => expectKey(key, first + i))
      return Array.from({ length: Math.ceil(keys.length / size) }, (_, block): EncodedRun => {
        const own = keys.slice(block * size, (block + 1) * size)
        const places = ordered(own)
        const sorted = places.map(i => items[block * size + i])
        return plain ? [sorted] : [sorted, places.map(i => own[i]!)]
      })
    }
    return inOrder(items.length, call, done, { rest })
  }
}

const DRIVER = driverSource(driver, { expose, inOrder, isKey, compareKeys })

/** A run as encoded lists, which are the same one where items are their own keys. */
interface Run {
  items: Uint8Array
  keys: Uint8Array
}

/** A page's share of one run, as encoded elements. */
interface Share {
  count: number
  items: Uint8Array
  keys: Uint8Array
}

function sortWork(spec: SortSpec, { partOf }: WorkTools): Work {
  const { items, order } = spec
  const plain = spec.key == null
  const size = Math.max(MIN_RUN_ITEMS, blockSize(items.length, MAX_RUNS))
  const blocks = Math.ceil(items.length / size)
  const runs = new Map<number, Run>()
  let pages: Share[][] = []
  const results = new Map<number, Uint8Array>()

  const createRuns = (): Reducer => {
    runs.clear()
    return {
      add(first, count, value) {
        const answers = expectList(value, count)
        answers.forEach((answer, i) => {
          const block = first + i
          const length = Math.min(size, items.length - block * size)
          runs.set(block, readRun(answer, { length, plain, order }))
        })
      },
      finish: async () => result()
    }
  }
  const runsPart: Part = {
    ...partOf({
      units: blocks,
      program: {
        ...(spec.key ?? { kind: 'function', source: 'x => x' }),
        driver: DRIVER,
        context: encodeContext(spec.context)
      },
      input: (first, count): RunsInput => ({
        order,
        plain,
        first: first * size,
        size,
        items: items.slice(first * size, (first + count) * size)
      }),
      itemsPerUnit: size,
      cut: listPart,
      createReducer: createRuns,
      whole: undefined
    }),
    share: [3, 4]
  }

  function pagesPart(): Part {
    const createReducer = (): Reducer => {
      results.clear()
      return {
        add(first, count, value) {
          expectList(value, count).forEach((page, i) => {
            const length = pages[first + i]!.reduce((sum, share) => sum + share.count, 0)
            const sorted = decodeValue(page)
            if (!Array.isArray(sorted) || sorted.length !== length)
              throw new ProtocolError(`a result is not a page of ${length} items`)
            results.set(first + i, page.subarray(arrayHead(page).size))
          })
        },
        finish: async () => result()
      }
    }
    const largest = Math.max(...pages.map(sizeOf))
    return {
      ...runsPart,
      units: pages.length,
      source: undefined,
      mostUnits: Math.max(1, Math.floor(MESSAGE_BYTES / largest)),
      rateKey: `${runsPart.rateKey} pages`,
      inputs: (first, count) => [encodePages(order, pages.slice(first, first + count), plain)],
      reducer: createReducer(),
      createReducer,
      share: [1, 4]
    }
  }

  /** The pages, or the only run, one after the other. */
  function result(): Uint8Array {
    // a copy: the answer as a whole must not stay for the sake of it
    if (blocks === 1) return Uint8Array.from(runs.get(0)!.items)
    return encodeArray(
      items.length,
      pages.map((_, page) => results.get(page)!)
    )
  }

  return {
    get total() {
      return blocks + (blocks > 1 ? Math.max(1, pages.length) : 0)
    },
    async next(completed) {
      if (blocks === 0 || completed === 1) return []
      if (completed == null) return [[0, runsPart]]
      if (blocks === 1) return []
      pages = await cutPages(
        Array.from({ length: blocks }, (_, block) => runs.get(block)!),
        order
      )
      return [[1, pagesPart()]]
    },
    finish: async () => result()
  }
}

const sizeOf = (page: Share[]): number =>
  page.reduce((sum, { items, keys }) => sum + items.length + keys.length, 0)

function expectList(value: Uint8Array, count: number): Uint8Array[] {
  const answers = listItems(value)
  if (answers?.length !== count) throw new ProtocolError(`a result is not a list of ${count} lists`)
  return answers
}

/** Throws ProtocolError for what is no run of `length` items in order. */
function readRun(
  answer: Uint8Array,
  { length, plain, order }: { length: number; plain: boolean; order: SortSpec['order'] }
): Run {
  const decoded = decodeValue(answer)
  const lists = Array.isArray(decoded) ? decoded : []
  const [items, keys = items] = lists
  const sign = order === 'descending' ? -1 : 1
  const isRun =
    lists.length === (plain ? 1 : 2) &&
    [items, keys].every(list => Array.isArray(list) && list.length === length) &&
    keys.every(isKey) &&
    keys.every((key: Key, i: number) => i === 0 || sign * compareKeys(keys[i - 1], key) <= 0)
  if (!isRun) throw new ProtocolError(`a result is no run of ${length} items in order`)
  const [own, ownKeys = own] = listItems(answer)!
  return { items: own!, keys: ownKeys! }
}

/** One item of a run; no two are equal, for those of equal keys are in order by where they were. */
interface Place {
  key: Key
  run: number
  at: number
}

/** The share of every page in every run. Reads one run at a time, so that others get their turn in between. */
async function cutPages(runs: readonly Run[], order: SortSpec['order']): Promise<Share[][]> {
  const sign = order === 'descending' ? -1 : 1
  const total = runs.reduce((sum, { items }) => sum + items.length, 0)
  const pageBytes = Math.max(MIN_PAGE_BYTES, total / MAX_PAGES)
  // a page misses its size by at most a step in every run
  const step = pageBytes / runs.length
  const samples: Place[] = []
  for (const [run, { items, keys }] of runs.entries()) {
    const own = decodeValue(keys) as Key[]
    let next = step
    for (const [at, end] of itemEnds(items)!.entries()) {
      if (end < next) continue
      samples.push({ key: own[at]!, run, at })
      next = (Math.floor(end / step) + 1) * step
    }
    await setImmediate()
  }
  samples.sort((a, b) => sign * compareKeys(a.key, b.key) || a.run - b.run || a.at - b.at)
  const borders = samples.filter((_, i) => i > 0 && i % runs.length === 0)
  const pages: Share[][] = Array.from({ length: borders.length + 1 }, () => [])
  for (const [run, { items, keys }] of runs.entries()) {
    const own = decodeValue(keys) as Key[]
    const itemCut = cutter(items)
    const keyCut = keys === items ? itemCut : cutter(keys)
    let from = 0
    for (const [page, shares] of pages.entries()) {
      const border = borders[page]
      const to = border == null ? own.length : before(own, run, border, sign)
      if (to > from) shares.push({ count: to - from, items: itemCut(from, to), keys: keyCut(from, to) })
      from = Math.max(from, to)
    }
    await setImmediate()
  }
  return pages.filter(page => page.length > 0)
}

/** How many items of a run come before a place in all. */
function before(keys: readonly Key[], run: number, border: Place, sign: number): number {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const order = sign * compareKeys(keys[middle]!, border.key) || run - border.run || middle - border.at
    if (order < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Gives the encoded elements [from, to) of a list. */
function cutter(list: Uint8Array): (from: number, to: number) => Uint8Array {
  const ends = itemEnds(list)!
  const start = arrayHead(list).size
  return (from, to) => list.subarray(from === 0 ? start : ends[from - 1], ends[to - 1])
}

/** The canonical bytes of a PagesInput. */
function encodePages(order: SortSpec['order'], pages: Share[][], plain: boolean): Uint8Array {
  const list = (count: number, elements: Uint8Array): Uint8Array[] => [head(4, count), elements]
  return Buffer.concat([
    // up to its last value: that of 0 is one byte
    encodeValue({ order, pages: 0 }).slice(0, -1),
    head(4, pages.length),
    ...pages.flatMap(shares => [
      head(4, shares.length),
      ...shares.flatMap(({ count, items, keys }) =>
        plain
          ? [head(4, 1), ...list(count, items)]
          : [head(4, 2), ...list(count, items), ...list(count, keys)]
      )
    ])
  ])
}
