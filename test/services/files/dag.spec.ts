import assert from 'node:assert/strict'
import { mkdir, readFile as readDisk, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { seeded } from '../../../node/demo/seeded.ts'
import { type Candidate, readPath } from '../../../services/files/add.ts'
import { fetchFrom } from '../../../services/files/fetch.ts'
import { pull } from '../../../services/files/pull.ts'
import { readFile, readFolder, walkPath } from '../../../services/files/read.ts'
import { measure, save } from '../../../services/files/save.ts'
import { type Block, fileOf, folderOf, garbage, leaf, node } from './dag.ts'
import { type Local, openLocal, text } from './local.ts'

const never = new AbortController().signal
const PLENTY = 2 ** 40
const log = Object.assign(() => {}, { error() {} })

/** Pulls from somebody who has these blocks, or what `give` makes of them. */
async function pullFrom(
  { store, files }: Local,
  root: CID,
  blocks: Block[],
  {
    maxCost = PLENTY,
    maxSize = PLENTY,
    give = (b: Block | undefined) => b
  }: { maxCost?: number; maxSize?: number; give?: (block: Block | undefined) => Block | undefined } = {}
) {
  const all = new Map(blocks.map(block => [block.cid.toString(), block]))
  let asked = 0
  async function* fetch(cids: CID[]) {
    for (const cid of cids) {
      asked++
      const block = give(all.get(cid.toString()))
      if (block != null) yield block
    }
  }
  const room = async (): Promise<void> => {}
  const opened = store.open(root.toString(), 0)
  const type = await pull({ store, files }, { root: opened, fetch, maxCost, maxSize, room, signal: never })
  return { type, asked, root: opened }
}

describe('files: DAGs of strangers', () => {
  let local: Local
  beforeEach(async () => {
    local = await openLocal()
  })
  afterEach(() => local[Symbol.asyncDispose]())

  it('of 10^12 bytes in a handful of blocks are refused by what they say, and by what they would write', async () => {
    // 1,000 times the same below, four times: 10^12 bytes of one byte
    const blocks = [leaf('x')]
    for (let level = 0, size = 1n; level < 4; level++, size *= 1000n) {
      const { cid } = blocks.at(-1)!
      blocks.push(fileOf(Array.from({ length: 1000 }, () => ({ cid, size }))))
    }
    const root = blocks.at(-1)!.cid
    await assert.rejects(pullFrom(local, root, blocks, { maxSize: 10 ** 9 }), { name: 'DagError' })
    // a folder says nothing of its size; five blocks can be held
    const folders = [leaf('x')]
    for (let level = 0; level < 5; level++) {
      const below = folders.at(-1)!.cid
      folders.push(folderOf(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`n${i}`, below]))))
    }
    const folder = folders.at(-1)!.cid
    assert.equal((await pullFrom(local, folder, folders)).asked, 6)
    const target = join(local.folder, 'out')
    await assert.rejects(save({ get: local.get, cid: folder, target, maxSize: 10 ** 9, signal: never }), {
      name: 'DagError'
    })
    assert.deepEqual(
      (await readdir(local.folder)).filter(name => name.includes('out')),
      []
    )
  })

  it('that go on for ever in depth or width are refused', async () => {
    const deep = [leaf('x')]
    for (let i = 0; i < 1000; i++) deep.push(folderOf({ a: deep.at(-1)!.cid }))
    await assert.rejects(pullFrom(local, deep.at(-1)!.cid, deep), { name: 'DagError' })
    const chain = [leaf('x')]
    for (let i = 0; i < 1000; i++) chain.push(fileOf([{ cid: chain.at(-1)!.cid, size: 1 }]))
    await assert.rejects(pullFrom(local, chain.at(-1)!.cid, chain), { name: 'DagError' })
    const { cid } = leaf('x')
    const wide = fileOf(Array.from({ length: 10_000 }, () => ({ cid, size: 1 })))
    await assert.rejects(pullFrom(local, wide.cid, [wide]), { name: 'DagError' })
  })

  it('cost no more than was granted', async () => {
    const leaves = Array.from({ length: 100 }, (_, i) => leaf(String(i)))
    const root = fileOf(leaves.map(({ cid, bytes }) => ({ cid, size: bytes.length })))
    await assert.rejects(pullFrom(local, root.cid, [root, ...leaves], { maxCost: 50 * 4096 }), {
      name: 'DagError'
    })
    const { root: opened } = await pullFrom(local, root.cid, [root, ...leaves], { maxCost: 102 * 4096 })
    assert.equal(local.store.rootById(opened.id)!.cost, 102 * 4096)
  })

  it('with wrong, too large or missing blocks are refused, and whoever has the right ones is asked', async () => {
    const [a, b] = [leaf('right'), leaf('wrong')]
    const large = leaf(new Uint8Array((2 << 20) + 1))
    const has: Record<string, Uint8Array[]> = {
      liar: [b.bytes],
      huge: [large.bytes],
      poor: [new Uint8Array()],
      endless: Array.from({ length: 1000 }, () => new Uint8Array()),
      honest: [a.bytes]
    }
    const asked: string[] = []
    const peers = {
      async *blocks(peer: string) {
        asked.push(peer)
        yield* has[peer]!
      }
    } as never
    const from = (...sources: string[]) =>
      Array.fromAsync(fetchFrom({ peers, sources, again: async () => [], laterMs: 1, log })([a.cid], never))
    assert.deepEqual(await from('liar', 'huge', 'poor', 'endless'), [])
    assert.deepEqual(await from('liar', 'poor', 'honest', 'huge'), [a])
    assert.deepEqual(asked, ['liar', 'huge', 'poor', 'endless', 'liar', 'poor', 'honest'])
    await assert.rejects(pullFrom(local, a.cid, []), { name: 'BlockMissingError' })
  })

  it('whose sizes are lies end as an error, not as other bytes', async () => {
    const leaves = ['aaaa', 'bbbb'].map(leaf)
    for (const size of [3, 5]) {
      const root = fileOf(leaves.map(({ cid }) => ({ cid, size })))
      for (const block of [root, ...leaves]) await local.files.put(block.cid, block.bytes)
      await assert.rejects(
        readFile(local.get, root.cid).then(({ bytes }) => buffer(bytes)),
        { name: 'DagError' }
      )
    }
    const nothing = fileOf([{ cid: leaves[0]!.cid, size: 0 }])
    await assert.rejects(pullFrom(local, nothing.cid, [nothing]), { name: 'DagError' })
    const huge = fileOf([{ cid: leaves[0]!.cid, size: 2n ** 63n }])
    await assert.rejects(pullFrom(local, huge.cid, [huge]), { name: 'DagError' })
  })

  it('that are something else than files and folders are refused', async () => {
    const link = node(new UnixFS({ type: 'symlink', data: Buffer.from('/etc/passwd') }), [])
    const shard = node(new UnixFS({ type: 'hamt-sharded-directory', fanout: 16n }), [])
    for (const block of [link, shard, garbage('garbage'), garbage('')])
      await assert.rejects(pullFrom(local, block.cid, [block]), { name: 'DagError' })
  })

  it('write no file outside their folder', async () => {
    const { cid } = leaf('x')
    for (const name of ['..', '../x', '/etc/x', 'a/../../x', 'a\0', 'a\n', '', 'n'.repeat(300)]) {
      const root = folderOf({ [name]: cid })
      for (const block of [root, leaf('x')]) await local.files.put(block.cid, block.bytes)
      const target = join(local.folder, 'deep', 'out')
      await mkdir(join(local.folder, 'deep'), { recursive: true })
      await assert.rejects(save({ get: local.get, cid: root.cid, target, maxSize: PLENTY, signal: never }), {
        name: 'FileNameError'
      })
      assert.deepEqual(await readdir(join(local.folder, 'deep')), [])
    }
  })
})

describe('files: DAGs', () => {
  let local: Local
  beforeEach(async () => {
    local = await openLocal()
  })
  afterEach(() => local[Symbol.asyncDispose]())

  it('give every range of a file as the bytes that went in', async () => {
    const bytes = await buffer(seeded('range', 3 * 262_144 + 17))
    const cid = CID.parse(await local.add([{ path: 'a', content: seeded('range', bytes.length) }]))
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), fc.nat(bytes.length + 1000), async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a]
        if (start > bytes.length) return
        const { size, bytes: part } = await readFile(local.get, cid, { start, end })
        assert.equal(size, bytes.length)
        assert.equal(Buffer.compare(await buffer(part), bytes.subarray(start, end)), 0)
      }),
      { numRuns: 40 }
    )
    await assert.rejects(readFile(local.get, cid, { start: bytes.length + 1, end: 9e9 }), {
      name: 'FileRangeError'
    })
  })

  it('of a folder come out as they went in, without what is hidden and without links', async () => {
    const source = join(local.folder, 'source')
    await mkdir(join(source, 'a', 'b'), { recursive: true })
    await mkdir(join(source, 'empty'))
    await writeFile(join(source, 'a', 'b', 'Привет.txt'), 'hello')
    await writeFile(join(source, '.env'), 'secret')
    const candidates = await Array.fromAsync(readPath(source, 'source'))
    const cid = CID.parse(await local.add(candidates as Candidate[]))
    const target = join(local.folder, 'target')
    await save({ get: local.get, cid, target, maxSize: PLENTY, signal: never })
    assert.deepEqual((await readdir(target, { recursive: true })).sort(), [
      'a',
      'a/b',
      'a/b/Привет.txt',
      'empty'
    ])
    assert.equal(await readDisk(join(target, 'a/b/Привет.txt'), 'utf8'), 'hello')
    const file = await walkPath(local.get, cid, ['a', 'b', 'Привет.txt'])
    assert.equal((await buffer((await readFile(local.get, file)).bytes)).toString(), 'hello')
    await assert.rejects(save({ get: local.get, cid, target, maxSize: PLENTY, signal: never }), {
      name: 'FilePathError'
    })
  })

  it('of a large folder are sharded, and list each file once', async () => {
    const long = 'n'.repeat(200)
    const many = Array.from({ length: 1500 }, (_, i) => ({ path: `d/${long}${i}`, content: text('x') }))
    const cid = CID.parse(await local.add(many))
    const found = await Array.fromAsync(readFolder(local.get, cid), ({ name }) => name)
    assert.deepEqual(found.sort(), many.map(({ path }) => path.slice(2)).sort())
  })

  it('are fetched on from where a fetch was broken off', async () => {
    const leaves = Array.from({ length: 100 }, (_, i) => leaf(`leaf ${i}`))
    const root = fileOf(leaves.map(({ cid, bytes }) => ({ cid, size: bytes.length })))
    const all = [root, ...leaves]
    let given = 0
    const give = (block: Block | undefined): Block | undefined => (given++ < 50 ? block : undefined)
    await assert.rejects(pullFrom(local, root.cid, all, { give }), { name: 'BlockMissingError' })
    const { asked, type } = await pullFrom(local, root.cid, all)
    assert.ok(asked <= 101 - 50 + 16, `${asked}`)
    assert.equal(type, 'file')
    const { entries, bytes } = await measure(local.get, root.cid, PLENTY)
    assert.deepEqual([entries, bytes], [1, leaves.reduce((sum, { bytes }) => sum + bytes.length, 0)])
  })

  it('are swept to the last block, except for what another one needs', async () => {
    const shared = leaf('shared')
    const [a, b] = ['a', 'b'].map(name => [leaf(name), folderOf({ [name]: leaf(name).cid, s: shared.cid })])
    for (const [own, root] of [a!, b!]) await pullFrom(local, root!.cid, [own!, root!, shared])
    await local.store.sweep(local.store.root(a![1]!.cid.toString())!.id)
    const here = async (block: Block): Promise<boolean> => local.files.has(block.cid)
    assert.deepEqual(await Promise.all([...a!, shared, ...b!].map(here)), [false, false, true, true, true])
    await local.store.sweep(local.store.root(b![1]!.cid.toString())!.id)
    assert.deepEqual(await Promise.all([shared, ...b!].map(here)), [false, false, false])
  })
})
