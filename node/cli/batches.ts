import { raceSignal } from 'race-signal'

/** Complete lines of a stream, those of a chunk together; the last one needs no end. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop()!
    if (lines.length > 0) yield lines
  }
  rest += decoder.decode()
  if (rest !== '') yield [rest]
}

/** Batches that take about TARGET_MS each: long beside what a job costs, short beside a person's patience. */
export function createBatchSize() {
  let size = FIRST_ITEMS
  return {
    get items(): number {
      return size
    },
    /** A full batch took so long; nothing is learnt from a batch that the input made short. */
    took(items: number, ms: number): void {
      if (items >= size && ms < TARGET_MS / 2) size = Math.min(MOST_ITEMS, size * 2)
      else if (ms > TARGET_MS * 2) size = Math.max(1, size >> 1)
    }
  }
}

const TARGET_MS = 2000
const FIRST_ITEMS = 32
const MOST_ITEMS = 16_384
// A batch travels as one message and lies in memory as one result.
const MOST_CHARS = 4 * 1024 * 1024
// Who types or prints slowly wants an answer to every line; who pipes a file has sent the next one by then.
const LINGER_MS = 50

/**
 * Cuts lines into batches of at most `size()`. A batch that is not full is given when the input pauses. Reads no
 * further than the next batch before that one is asked for.
 */
export async function* batchesOf(
  lines: AsyncIterable<string[]>,
  size: () => number,
  signal: AbortSignal
): AsyncGenerator<string[]> {
  const source = lines[Symbol.asyncIterator]()
  const waiting: string[] = []
  let chars = 0
  const isFull = (): boolean => waiting.length >= size() || chars >= MOST_CHARS
  const cut = (): string[] => {
    let end = 0
    for (let taken = 0; end < Math.min(waiting.length, size()) && taken < MOST_CHARS; end++)
      taken += waiting[end]!.length
    const batch = waiting.splice(0, end)
    for (const line of batch) chars -= line.length
    return batch
  }
  for (let next = source.next(); ; next = source.next()) {
    while (isFull()) yield cut()
    while (waiting.length > 0 && (await isPaused(next))) yield cut()
    const { value, done } = await raceSignal(next, signal)
    if (done === true) break
    for (const line of value) {
      waiting.push(line)
      chars += line.length
    }
  }
  while (waiting.length > 0) yield cut()
}

async function isPaused(next: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(true), LINGER_MS)
  try {
    return await Promise.race([next.then(() => false), promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Runs every batch, at most `window` that are not written yet, and writes the results in the order of the batches.
 * Rejects with the first failure in that order, also while the next batch is waited for.
 */
export async function inOrder<In, Out>(
  batches: AsyncIterable<In>,
  window: number,
  run: (batch: In) => Promise<Out>,
  write: (result: Out) => Promise<void>
): Promise<void> {
  const source = batches[Symbol.asyncIterator]()
  const failed = new AbortController()
  const unwritten = new Set<Promise<void>>()
  let last: Promise<void> = Promise.resolve()

  async function writeAfter(before: Promise<void>, result: Promise<Out>): Promise<void> {
    const [outcome] = await Promise.allSettled([result, before])
    await before
    if (outcome.status === 'rejected') throw outcome.reason
    await write(outcome.value)
  }

  for (;;) {
    const next = await raceSignal(source.next(), failed.signal)
    if (next.done === true) break
    const written = writeAfter(last, run(next.value))
    last = written
    unwritten.add(written)
    written.then(
      () => unwritten.delete(written),
      error => failed.abort(error)
    )
    if (unwritten.size >= window) await Promise.race(unwritten)
  }
  await last
}
