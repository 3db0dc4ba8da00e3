import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LevelDatastore } from 'datastore-level'
import { Key } from 'interface-datastore'
import { PeerMemory } from '../../bootstrap/peer-memory.ts'

describe('bootstrap: what is known of peers', () => {
  let folder: string
  let memory: PeerMemory
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-peers-'))
    memory = new PeerMemory(join(folder, 'datastore'))
    await memory.open()
  })
  afterEach(async () => {
    await memory.close()
    await rm(folder, { recursive: true, force: true })
  })

  const keyOf = (i: number) => new Key(`/peers/${i}`)
  const keysOf = async (store: LevelDatastore): Promise<string[]> => {
    const keys: string[] = []
    for await (const key of store.queryKeys({})) keys.push(key.toString())
    return keys.sort()
  }

  it('is read as it was written last, deleted or there, before and after it is on the disk', async () => {
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]
    await memory.put(keyOf(1), one)
    await memory.put(keyOf(1), two)
    await memory.put(keyOf(2), one)
    await memory.put(new Key('/other'), one)
    assert.deepEqual(await memory.get(keyOf(1)), two)
    assert.ok(await memory.has(keyOf(2)))
    await memory.delete(keyOf(2))
    assert.ok(!(await memory.has(keyOf(2))))
    await assert.rejects(memory.get(keyOf(2)), { name: 'NotFoundError' })
    assert.deepEqual(await keysOf(memory), ['/other', '/peers/1'])
    await memory.close()
    const disk = new LevelDatastore(join(folder, 'datastore'))
    await disk.open()
    assert.deepEqual(await keysOf(disk), ['/other', '/peers/1'])
    assert.deepEqual(Uint8Array.from(await disk.get(keyOf(1))), two)
    await disk.close()
    await memory.open()
    assert.deepEqual(await memory.get(keyOf(1)), two)
  })

  it('is all there however many peers there are', async () => {
    const count = 3_000
    for (let i = 0; i < count; i++) await memory.put(keyOf(i), Uint8Array.of(i & 255))
    for (let i = 0; i < count; i++) assert.equal((await memory.get(keyOf(i)))[0], i & 255)
    assert.equal((await keysOf(memory)).length, count)
  })

  it('is there in memory, and what was on the disk before is found, where the disk is full', async () => {
    await memory.put(keyOf(1), Uint8Array.of(1))
    assert.deepEqual(await keysOf(memory), ['/peers/1'])
    const { batch } = memory.db
    memory.db.batch = (() => Promise.reject(new Error('no space left'))) as never
    try {
      await memory.put(keyOf(2), Uint8Array.of(2))
      assert.deepEqual(await keysOf(memory), ['/peers/1'])
      assert.deepEqual(await memory.get(keyOf(2)), Uint8Array.of(2))
      for (let i = 3; i < 1_001; i++) await memory.put(keyOf(i), Uint8Array.of(1))
      // no more than may wait in memory
      await assert.rejects(memory.put(keyOf(1_001), Uint8Array.of(1)), /no space left/)
      assert.ok(!(await memory.has(keyOf(1_001))))
    } finally {
      memory.db.batch = batch
    }
    assert.equal((await keysOf(memory)).length, 1_000)
  })
})
