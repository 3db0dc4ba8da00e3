import { strict as assert } from 'node:assert'
import { mock } from 'node:test'
import fc from 'fast-check'
import { batchesOf, createBatchSize, inOrder, linesOf, textOf } from '../../node/cli/batches.ts'

async function* chunks(bytes: Uint8Array, cuts: number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const cut of [...new Set(cuts)].sort((a, b) => a - b)) {
    if (cut <= at || cut >= bytes.length) continue
    yield bytes.subarray(at, cut)
    at = cut
  }
  yield bytes.subarray(at)
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}

const all = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

const never = new AbortController().signal

describe('cli: lines in, results out', () => {
  const line = fc.string({ unit: 'grapheme' }).map(text => text.replace(/[\r\n]/g, ''))

  it('reads the same lines however the bytes arrive', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.array(fc.nat(200)),
        async (lines, end, isEnded, cuts) => {
          fc.pre(isEnded || lines.at(-1) !== '')
          const text = lines.join(end) + (isEnded && lines.length > 0 ? end : '')
          const read = (await all(linesOf(chunks(Buffer.from(text), cuts)))).flat()
          assert.deepEqual(read.map(textOf), lines)
        }
      )
    ))

  it('copies a long line once, in however many chunks it comes', async () => {
    const chunk = Buffer.alloc(1 << 16, 'x')
    const copied = mock.method(Buffer, 'concat')
    try {
      const [lines] = await all(linesOf(each(Array<Buffer>(320).fill(chunk))))
      assert.equal(lines![0]!.length, 320 * chunk.length)
      assert.equal(copied.mock.callCount(), 1)
    } finally {
      copied.mock.restore()
    }
  })

  it('reads no byte order mark', async () => {
    const [lines] = await all(linesOf(each([Buffer.from('\uFEFF1\n\uFEFF2')])))
    assert.deepEqual(lines!.map(textOf), ['1'])
  })

  it('cuts batches of at most the size, and loses and reorders nothing', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.string())),
        fc.integer({ min: 1, max: 5 }),
        async (lines, size) => {
          const batches = await all(batchesOf(each(lines), () => size, never))
          assert.deepEqual(batches.flat(), lines.flat())
          assert.ok(batches.every(({ length }) => length > 0 && length <= size))
        }
      )
    ))

  it('keeps batches of long lines small', async () => {
    const long = 'x'.repeat(1_500_000)
    const batches = await all(batchesOf(each([Array(7).fill(long)]), () => 100, never))
    assert.deepEqual(
      batches.map(({ length }) => length),
      [3, 3, 1]
    )
  })

  it('gives what is there when the input pauses', async () => {
    const more = Promise.withResolvers<void>()
    async function* slow(): AsyncGenerator<string[]> {
      yield ['a', 'b']
      await more.promise
      yield ['c']
    }
    const batches = batchesOf(slow(), () => 100, never)
    assert.deepEqual((await batches.next()).value, ['a', 'b'])
    more.resolve()
    assert.deepEqual((await batches.next()).value, ['c'])
  })

  it('ends when it is told to, also while it waits for input', async () => {
    const controller = new AbortController()
    const hangs = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
    const batches = batchesOf(hangs, () => 1, controller.signal).next()
    controller.abort(new Error('enough'))
    await assert.rejects(batches, /enough/)
  })

  it('writes in order, and runs no more than the window before it has written', () =>
    fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.nat(12),
        fc.integer({ min: 1, max: 4 }),
        async (s, count, window) => {
          const items = Array.from({ length: count }, (_, i) => i)
          const written: number[] = []
          let open = 0
          const done = inOrder(
            each(items),
            window,
            async item => {
              open++
              assert.ok(open <= window)
              await s.schedule(Promise.resolve(), `run ${item}`)
              return item
            },
            async item => {
              await s.schedule(Promise.resolve(), `write ${item}`)
              written.push(item)
              open--
            }
          )
          await s.waitFor(done)
          assert.deepEqual(written, items)
        }
      )
    ))

  it('writes everything before the first failure, and nothing after it', async () => {
    const written: number[] = []
    const run = async (item: number): Promise<number> => {
      if (item === 2 || item === 3) throw new Error(`no ${item}`)
      return item
    }
    const done = inOrder(each([0, 1, 2, 3, 4]), 2, run, async item => void written.push(item))
    await assert.rejects(done, /no 2/)
    assert.deepEqual(written, [0, 1])
  })

  it('fails also while the input says nothing', async () => {
    async function* silent(): AsyncGenerator<number> {
      yield 1
      await new Promise(() => {})
    }
    const run = async (): Promise<never> => {
      throw new Error('no')
    }
    await assert.rejects(
      inOrder(silent(), 4, run, async () => {}),
      /^Error: no$/
    )
  })

  it('makes batches larger while they are quick, smaller when they are slow', () => {
    const size = createBatchSize()
    const first = size.items
    size.took(first, 10)
    assert.equal(size.items, first * 2)
    size.took(1, 10)
    assert.equal(size.items, first * 2, 'a short one says nothing')
    for (let i = 0; i < 40; i++) size.took(size.items, 10)
    const most = size.items
    size.took(most, 10)
    assert.equal(size.items, most)
    for (let i = 0; i < 40; i++) size.took(size.items, 60_000)
    assert.equal(size.items, 1)
  })
})
