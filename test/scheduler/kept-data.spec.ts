import { strict as assert } from 'node:assert'
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import { createHomes } from '../../scheduler/coordinator/homes.ts'
import { Dataset, DatasetItems, encodeManifest, readManifest } from '../../scheduler/data/dataset.ts'
import { keepItems, readKeptAnswer } from '../../scheduler/data/kept-items.ts'
import { assemble, inputOf, type PieceValue } from '../../scheduler/data/pieced-input.ts'
import { openKeptData } from '../../scheduler/worker/kept-data.ts'

/** of a disk */
const BLOCK = 4096
const list = (items: unknown[]) => keepItems(encodeValue(items))

describe('scheduler: results that stay', () => {
  it('are the list again, whatever the slices were and whichever items are asked for', async () => {
    const item = fc.oneof(
      fc.integer(),
      fc.string(),
      fc.constant('a'.repeat(700_000)),
      fc.constant('b'.repeat(2 ** 20 + 5)),
      fc.array(fc.integer(), { maxLength: 3 })
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(item, { maxLength: 5 }), { maxLength: 5 }),
        fc.nat(30),
        fc.nat(30),
        async (slices, first, count) => {
          const blocks = new Map<string, Uint8Array>()
          const kept = slices.map((items, i) => {
            const { value, blocks: own } = list(items)
            for (const [digest, block] of own) blocks.set(Buffer.from(digest).toString('hex'), block)
            return { first: i, count: 1, holders: [`worker ${i % 2}`], chunks: readKeptAnswer(value) }
          })
          const dataset = new Dataset('id', readManifest(encodeManifest(kept)))
          const all = slices.flat()
          assert.equal(dataset.length, all.length)
          const expected = all.slice(first, first + count)
          const part = new DatasetItems(dataset).slice(first, first + count)
          const bytes = Array.isArray(part)
            ? encodeValue([])
            : await assemble(
                inputOf(part as PieceValue),
                async ({ block }) => blocks.get(Buffer.from(block).toString('hex'))!
              )
          assert.equal(Buffer.compare(bytes, encodeValue(expected)), 0)
        }
      ),
      { numRuns: 25 }
    )
  })

  it('are cut to a page of so many bytes, of one item at least', () => {
    const item = 'x'.repeat(300_000)
    const { value } = keepItems(encodeValue(Array.from({ length: 20 }, () => item)))
    const slice = { first: 0, count: 20, holders: ['worker'], chunks: readKeptAnswer(value) }
    const dataset = new Dataset('id', readManifest(encodeManifest([slice])))
    for (const [first, end, bytes, expected] of [
      [0, 20, 10_000_000, 20],
      [0, 20, 1_000_000, 3],
      [17, 20, 1_000_000, 20],
      [5, 20, 1000, 6],
      [5, 5, 1000, 5]
    ] as const)
      assert.equal(dataset.within(first, end, bytes), expected)
  })

  it('are given first to who has them, and each unit once', () => {
    const homes = createHomes(
      [
        { first: 0, count: 10, holders: ['a'] },
        { first: 10, count: 5, holders: ['b', 'a'] },
        { first: 15, count: 5, holders: ['gone'] },
        { first: 20, count: 2, holders: [] }
      ],
      () => false
    )
    const isHere = (id: string): boolean => id === 'a' || id === 'b'
    const taken: unknown[] = []
    taken.push(homes.take(homes.at('a')!, 4), homes.take(homes.at('a')!, 6), homes.take(homes.at('b')!, 5))
    assert.equal(homes.at('a'), undefined)
    for (let home = homes.orphan(isHere); home != null; home = homes.orphan(isHere))
      taken.push(homes.take(home, home.count))
    assert.ok(homes.isEmpty)
    assert.deepEqual(taken, [
      { first: 0, count: 4 },
      { first: 4, count: 6 },
      { first: 10, count: 5 },
      { first: 15, count: 5 },
      { first: 20, count: 2 }
    ])
  })

  describe('at a worker', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artel-kept-'))
    })
    afterEach(() => rm(folder, { recursive: true }))
    const { blocks } = list(['x'.repeat(1000)])
    const [[digest, block]] = blocks as [[Uint8Array, Uint8Array]]
    const other = list(['y'.repeat(1000)]).blocks

    it('outlive its process, are not given where they are damaged, and then can be kept anew', async () => {
      const first = openKeptData({ folder, self: 'me' })
      assert.equal(first.put('somebody', '../../job', blocks), undefined)
      const again = openKeptData({ folder, self: 'me' })
      assert.deepEqual(again.get(digest), Buffer.from(block))
      const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(name =>
        statSync(join(folder, name)).isFile()
      )!
      await writeFile(join(folder, file), 'something else')
      assert.equal(again.get(digest), undefined)
      assert.equal(again.bytes, 0)
      assert.equal(again.put('somebody', '../../job', blocks), undefined)
      assert.deepEqual(again.get(digest), Buffer.from(block))
    })

    it('are read beside files that somebody else put there, which stay', async () => {
      const first = openKeptData({ folder, self: 'me' })
      first.put('somebody', 'job', blocks)
      const [requester] = readdirSync(folder)
      for (const stray of ['notes', `${requester}/notes`]) await writeFile(join(folder, stray), 'mine')
      const again = openKeptData({ folder, self: 'me' })
      assert.deepEqual(again.get(digest), Buffer.from(block))
      assert.equal(again.bytes, first.bytes)
      assert.ok(statSync(join(folder, 'notes')).isFile())
    })

    it('have a quota for each requester, refused by name, and none for this node', () => {
      const kept = openKeptData({ folder, self: 'me', quotaBytes: 6000 })
      assert.equal(kept.put('somebody', 'job', blocks), undefined)
      assert.equal(kept.put('somebody', 'job', blocks), undefined, 'the same again takes nothing')
      assert.match(kept.put('somebody', 'more', other)!, /quota of kept data/)
      assert.equal(kept.get(other[0]![0]), undefined)
      assert.equal(kept.put('another', 'job', other), undefined)
      for (const job of ['1', '2', '3']) assert.equal(kept.put('me', job, blocks), undefined)
      kept.release('somebody', ['job'])
      assert.equal(kept.put('somebody', 'more', other), undefined)
    })

    it('count as what a file takes at least, and take nothing where there are none', () => {
      const kept = openKeptData({ folder, self: 'me', quotaBytes: 3 * BLOCK })
      const put = (job: number) => kept.put('somebody', `${job}`, list([job]).blocks)
      assert.deepEqual([1, 2, 3].map(put), [undefined, undefined, undefined])
      assert.match(put(4)!, /quota of kept data/)
      const files = readdirSync(folder, { recursive: true }).length
      assert.equal(kept.put('another', 'job', list([]).blocks), undefined)
      assert.equal(readdirSync(folder, { recursive: true }).length, files)
    })

    it('go when nobody used them for their time, and only those', () => {
      let now = Date.now()
      const kept = openKeptData({ folder, self: 'me', lifetimeMs: 1000, now: () => now })
      kept.put('somebody', 'job', blocks)
      kept.put('somebody', 'more', other)
      now += 800
      kept.get(digest)
      now += 800
      kept.expire()
      assert.ok(kept.get(digest) != null)
      assert.equal(kept.get(other[0]![0]), undefined)
      assert.equal(kept.bytes, BLOCK)
    })

    it('are let go of by nobody but who asked for them', () => {
      const kept = openKeptData({ folder, self: 'me' })
      kept.put('somebody', 'job', blocks)
      assert.equal(kept.release('another', ['job']), 0)
      assert.ok(kept.get(digest) != null)
      assert.equal(kept.release('somebody', ['job']), BLOCK)
      assert.equal(kept.get(digest), undefined)
    })
  })
})
