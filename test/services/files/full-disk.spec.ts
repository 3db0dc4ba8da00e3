import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { seeded } from '../../../node/demo/seeded.ts'
import { openBlockFiles } from '../../../services/files/block-files.ts'
import { createRoom } from '../../../services/files/room.ts'
import { SmallDisk } from '../../integration/small-disk.ts'
import { leaf } from './dag.ts'
import { openLocal } from './local.ts'

describe('files: a full disk', () => {
  let folder: string
  let disk: SmallDisk
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-disk-'))
    disk = await SmallDisk.create(folder, 4)
  })
  after(async () => {
    await disk.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('is told by name, costs nothing that was there, and takes blocks again when there is room', async () => {
    const files = await openBlockFiles(join(disk.path, 'blocks'))
    const [before, after] = [
      leaf(await buffer(seeded('a', 262_144))),
      leaf(await buffer(seeded('b', 262_144)))
    ]
    await files.put(before.cid, before.bytes)
    await disk.fill()
    await assert.rejects(files.put(after.cid, after.bytes), { name: 'DiskFullError' })
    assert.equal(await files.has(after.cid), false)
    assert.equal(Buffer.compare(await files.get(before.cid), before.bytes), 0)
    files.delete(before.cid)
    await files.put(after.cid, after.bytes)
    assert.equal(Buffer.compare(await files.get(after.cid), after.bytes), 0)
  })

  it('is not filled by files: what was fetched once goes, then they are refused', async () => {
    await using local = await openLocal()
    const { store } = local
    let free = 0
    const room = createRoom({ store, files: { free: async () => free }, quotaBytes: () => 2 ** 40 })
    const root = store.open(leaf('x').cid.toString(), 0)
    await assert.rejects(room.forOwn(1), { name: 'DiskFullError' })
    assert.equal(store.rootById(root.id), undefined)
    free = 2 ** 40
    await room.forOwn(1)
  })
})
