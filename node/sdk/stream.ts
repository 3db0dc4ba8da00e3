import type { Items, Stream, StreamOptions } from './contract.ts'
import { ArtelError } from './errors.ts'
import { thenable } from './thenable.ts'

const DEFAULT_PAGE = 1000
const DEFAULT_AHEAD = 4
// Waits this long for more before a page that is not full goes out, while nothing else is under way.
const GATHER_MS = 5

export interface StreamInit<T, R> extends StreamOptions {
  items: Items<T>
  /** the bytes that an item takes, roughly, and the index it has; a page holds at most `pageBytes` */
  sizeOf: (item: T, index: number) => number
  pageBytes: number
  /** computes one page; `firstIndex`: how many items were before it */
  submit: (page: T[], signal: AbortSignal, firstIndex: number) => Promise<R[]>
  signal?: AbortSignal
}

/** A list that is computed as one job when it is awaited, or page by page when it is iterated. */
export function createStream<T, R>(init: StreamInit<T, R>): Stream<R> {
  let whole: Promise<R[]> | undefined
  const all = async (): Promise<R[]> => {
    const { items, submit } = init
    const signal = init.signal ?? new AbortController().signal
    if (!(Symbol.asyncIterator in items)) return submit([...unread(items)], signal, 0)
    const list: R[] = []
    for await (const page of pages(init)) for (const item of page) list.push(item)
    return list
  }
  return {
    ...thenable(() => {
      whole ??= all()
      return whole
    }),
    [Symbol.asyncIterator]: () => pages(init)
  }
}

/** A list that one job computes, also when it is iterated: its pages in order. */
export function createWhole<R>(
  run: () => Promise<R[]>,
  { page = DEFAULT_PAGE }: StreamOptions = {}
): Stream<R> {
  if (!Number.isInteger(page) || page < 1)
    throw new RangeError(`page must be a whole number above 0, got ${page}`)
  let whole: Promise<R[]> | undefined
  const all = (): Promise<R[]> => {
    whole ??= run()
    return whole
  }
  return {
    ...thenable(all),
    async *[Symbol.asyncIterator]() {
      const list = await all()
      for (let at = 0; at < list.length; at += page) yield list.slice(at, at + page)
    }
  }
}

/**
 * Pages of results in order. At most `ahead` pages are under way or wait to be read; the source is not read further
 * than the next page. A page goes out when it is full, or when nothing is under way and the source is slow.
 */
export async function* pages<T, R>(init: StreamInit<T, R>): AsyncGenerator<R[], void, undefined> {
  const { page: most = DEFAULT_PAGE, ahead = DEFAULT_AHEAD, sizeOf, pageBytes, submit } = init
  for (const [name, value] of Object.entries({ page: most, ahead })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} must be a whole number from 1, got ${value}`)
  }
  const left = new AbortController()
  const signal = init.signal == null ? left.signal : AbortSignal.any([left.signal, init.signal])
  const items = unread(init.items)
  const source =
    Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : (items as Iterable<T>)[Symbol.iterator]()
  let next: IteratorResult<T> | Promise<IteratorResult<T>> | undefined
  const underWay: Promise<R[]>[] = []
  let isDone = false
  let before = 0

  /** The next page, or undefined where the source has no more. */
  async function cut(): Promise<T[] | undefined> {
    const page: T[] = []
    let bytes = 0
    while (page.length < most && bytes < pageBytes) {
      next ??= source.next()
      let taken = page.length === 0 || !(next instanceof Promise) ? await next : await soon(next)
      while (taken === undefined && underWay.length > 0)
        taken = await soon(next as Promise<IteratorResult<T>>)
      if (taken === undefined) break
      next = undefined
      if (taken.done === true) {
        isDone = true
        break
      }
      bytes += sizeOf(taken.value, before + page.length)
      page.push(taken.value)
    }
    return page.length === 0 ? undefined : page
  }

  let cutting: Promise<void> | undefined
  try {
    for (;;) {
      signal.throwIfAborted()
      if (!isDone && underWay.length < ahead && cutting == null) {
        cutting = cut().then(page => {
          cutting = undefined
          if (page == null) return
          const running = submit(page, signal, before)
          before += page.length
          running.catch(() => {}) // its turn comes, and then it is seen
          underWay.push(running)
        })
        cutting.catch(() => {})
      }
      const first = underWay[0]
      if (first == null) {
        if (cutting == null) return
        await aborted(cutting, signal)
        continue
      }
      // results do not wait for a slow source
      const results = await aborted(cutting == null ? first : Promise.race([first, cutting]), signal)
      if (results === undefined) continue
      underWay.shift()
      yield results
    }
  } finally {
    left.abort(new DOMException('nobody reads the results any more', 'AbortError'))
    // a source that waits for its next item cannot be ended before it has it
    if (!isDone) void Promise.resolve(source.return?.()).catch(() => {})
  }
}

/** All items. What a list holds is taken as it is: a promise among them is none of them. */
export async function listOf<T>(items: Items<T>): Promise<T[]> {
  const source = unread(items)
  return Symbol.asyncIterator in source ? Array.fromAsync(source) : [...source]
}

const read = new WeakSet<object>()

/**
 * Generators and streams give their items once; read again they would be empty without a word.
 *
 * @throws {ArtelError} ItemsReadError
 */
function unread<I extends Items<unknown>>(items: I): I {
  if (typeof items !== 'object' || !['next', 'pipe', 'getReader'].some(key => key in items)) return items
  if (read.has(items))
    throw new ArtelError(
      'ItemsReadError',
      'the items were read already, and a generator or stream gives them once; pass a list, or make it anew'
    )
  read.add(items)
  return items
}

function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), GATHER_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function aborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
