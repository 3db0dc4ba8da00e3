import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LevelBlockstore } from 'blockstore-level'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { together } from '../../bootstrap/files.ts'
import { LargeBlocks } from '../../bootstrap/large-blocks.ts'
import { until } from './nodes.ts'

const cidOf = async (bytes: Uint8Array): Promise<CID> => CID.createV1(raw.code, await sha256.digest(bytes))

async function read(blocks: LevelBlockstore, cid: CID): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of blocks.get(cid)) parts.push(part)
  return Buffer.concat(parts)
}

describe('bootstrap: files', () => {
  it('work that is done together begins after who asked for it, once for all of a turn', async () => {
    const steps: string[] = []
    const gate = Promise.withResolvers<void>()
    const work = together(async () => {
      steps.push('begin')
      await gate.promise
      steps.push('end')
    })
    steps.push('asked')
    const first = Promise.all([work(), work()])
    await until(() => steps.includes('begin'), 'it begins')
    const second = work()
    gate.resolve()
    await Promise.all([first, second])
    assert.deepEqual(steps, ['asked', 'begin', 'end', 'begin', 'end'])
  })

  it('who may wait has part in what somebody else asks for, or asks soon', async () => {
    let begun = 0
    const work = together(async () => void begun++)
    await Promise.all([work(true), work(), work(true)])
    assert.equal(begun, 1)
    await Promise.all([work(true), work(true)])
    assert.equal(begun, 2)
  })

  it('who asks for work after some that failed is not told of its failure', async () => {
    let left = 1
    const work = together(async () => {
      if (left-- > 0) throw new Error('full')
    })
    await assert.rejects(work(), /full/)
    await work()
  })

  describe('blocks', () => {
    let folder: string
    let blocks: LargeBlocks
    const files = (): Promise<string[]> => readdir(join(folder, 'files'))
    const opened = async (): Promise<LargeBlocks> => {
      const store = new LargeBlocks(join(folder, 'level'), join(folder, 'files'), {})
      await store.open()
      return store
    }
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artel-blocks-'))
      blocks = await opened()
    })
    afterEach(async () => {
      await blocks.close()
      await rm(folder, { recursive: true })
    })

    it('are had again by their CID after a restart: large ones are files, and go with them', async () => {
      const [small, large] = [new Uint8Array(100).fill(1), new Uint8Array(100_000).fill(2)]
      const cids = await Promise.all([small, large].map(cidOf))
      await blocks.put(cids[0]!, small)
      await Promise.all([blocks.put(cids[1]!, large), blocks.put(cids[1]!, large)])
      assert.equal((await files()).length, 1)
      await blocks.close()
      // what was not whole when the power went
      await writeFile(join(folder, 'files/ff.00.tmp'), 'half')
      blocks = await opened()
      assert.equal((await files()).length, 1)
      for (const [i, bytes] of [small, large].entries()) {
        assert.ok(await blocks.has(cids[i]!))
        assert.deepEqual(await read(blocks, cids[i]!), Buffer.from(bytes))
      }
      const all: string[] = []
      for await (const { cid } of blocks.getAll()) all.push(cid.toString())
      assert.deepEqual(all.sort(), cids.map(String).sort())
      for (const cid of cids) {
        await blocks.delete(cid)
        assert.ok(!(await blocks.has(cid)))
        await assert.rejects(read(blocks, cid))
      }
      assert.deepEqual(await files(), [])
    })

    it('of a folder from before there were files are had as well, and go', async () => {
      const bytes = new Uint8Array(100_000).fill(3)
      const cid = await cidOf(bytes)
      await blocks.close()
      const before = new LevelBlockstore(join(folder, 'level'))
      await before.open()
      await before.put(cid, bytes)
      await before.close()
      blocks = await opened()
      assert.deepEqual(await read(blocks, cid), Buffer.from(bytes))
      await blocks.delete(cid)
      assert.ok(!(await blocks.has(cid)))
    })
  })
})
