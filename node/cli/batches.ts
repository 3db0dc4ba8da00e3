import { raceSignal } from 'race-signal'

const NEWLINE = 0x0a
const MARK = Buffer.from('\uFEFF')

/**
 * Complete lines of a stream as the bytes that came, those of a chunk together; the last one needs no end. A byte order
 * mark is no part of the first. Takes time in proportion to the bytes, however long a line is.
 */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let parts: Uint8Array[] = []
  let isFirst = true
  const line = (): Buffer => {
    const bytes = Buffer.concat(parts)
    parts = []
    const isMarked = isFirst && bytes.subarray(0, MARK.length).equals(MARK)
    isFirst = false
    return isMarked ? bytes.subarray(MARK.length) : bytes
  }
  for await (const chunk of input) {
    const lines: Buffer[] = []
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, end))
      lines.push(line())
      from = end + 1
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (parts.length > 0) yield [line()]
}

/** What a line says: its text, without the \r of systems that write \r\n. */
export const textOf = (line: Buffer): string => line.toString().replace(/\r$/, '')

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
const MOST_BYTES = 4 * 1024 * 1024
// Who types or prints slowly wants an answer to every line; who pipes a file has sent the next one by then.
const LINGER_MS = 50

/**
 * Cuts lines into batches of at most `size()`. A batch that is not full is given when the input pauses. Reads no
 * further than the next batch before that one is asked for.
 */
export async function* batchesOf<Line extends { length: number }>(
  lines: AsyncIterable<Line[]>,
  size: () => number,
  signal: AbortSignal
): AsyncGenerator<Line[]> {
  const source = lines[Symbol.asyncIterator]()
  const waiting: Line[] = []
  let bytes = 0
  const isFull = (): boolean => waiting.length >= size() || bytes >= MOST_BYTES
  const cut = (): Line[] => {
    let end = 0
    for (let taken = 0; end < Math.min(waiting.length, size()) && taken < MOST_BYTES; end++)
      taken += waiting[end]!.length
    const batch = waiting.splice(0, end)
    for (const line of batch) bytes -= line.length
    return batch
  }
  for (let next = source.next(); ; next = source.next()) {
    while (isFull()) yield cut()
    while (waiting.length > 0 && (await isPaused(next))) yield cut()
    const { value, done } = await raceSignal(next, signal)
    if (done === true) break
    for (const line of value) {
      waiting.push(line)
      bytes += line.length
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
