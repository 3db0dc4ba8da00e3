import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { digest, seeded } from '../../../node/demo/seeded.ts'
import { until } from '../../bootstrap/nodes.ts'
import { Fleet, type Member, SETTINGS } from './fleet.ts'

const BYTES = 3_000_000
/** leaves, and their root */
const BLOCKS = Math.ceil(BYTES / 262_144) + 1

const holdersOf = ({ node }: Member, cid: string): string[] =>
  node.own
    .info(cid)
    .holders.filter(({ state }) => state === 'proved')
    .map(({ peer }) => peer)
    .sort()

const blocksOn = async ({ folder }: Member): Promise<number> => {
  const files = await readdir(`${folder}/blocks`, { recursive: true, withFileTypes: true })
  return files.filter(file => file.isFile()).length
}

describe('files: several nodes', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await new Fleet().open()
  })
  afterEach(() => fleet.close())

  const start = (...ids: string[]): Promise<Member[]> => Promise.all(ids.map(id => fleet.start(id)))
  const add = ({ node }: Member, replicas: number, seed = 'x') =>
    node.own.add(seeded(seed, BYTES), { name: seed, replicas })

  it('hold as many copies as are wanted, and another one takes the place of one that is gone', async () => {
    const [owner] = await start('owner', 'a', 'b', 'c')
    const { cid } = await add(owner!, 2)
    await fleet.until('two replicas', () => holdersOf(owner!, cid).length === 2)
    const [lost, stays] = holdersOf(owner!, cid)
    fleet.members.get(lost!)!.kill()
    const third = ['a', 'b', 'c'].find(id => id !== lost && id !== stays)!
    await fleet.until('two again', () => holdersOf(owner!, cid).includes(third))
    assert.deepEqual(holdersOf(owner!, cid), [stays!, third].sort())
    const { bytes } = await fleet.members.get(third)!.node.own.read(cid)
    assert.equal(await digest(bytes), await digest(seeded('x', BYTES)))
  })

  it('that were killed in the middle of a copy go on with it after their restart', async () => {
    const [owner] = await start('owner')
    let given = 0
    const a = await fleet.start('a')
    fleet.cheat.block = (_, bytes) => {
      if (++given === 5) a.kill()
      return bytes
    }
    const { cid } = await add(owner!, 1)
    await fleet.until('a is killed', () => given >= 5)
    assert.ok(given < 13)
    fleet.cheat = {}
    const before = await blocksOn(a)
    assert.ok(before > 0)
    const again = await fleet.start('a')
    await fleet.until('the replica', () => holdersOf(owner!, cid).length === 1)
    assert.equal(await blocksOn(again), BLOCKS)
  })

  it('let go of what its owner has unpinned, also one that was away then', async () => {
    const [owner, a, b] = await start('owner', 'a', 'b')
    const { cid } = await add(owner!, 2)
    await fleet.until('two replicas', () => holdersOf(owner!, cid).length === 2)
    b!.kill()
    await owner!.node.own.unpin('x')
    assert.equal(await blocksOn(owner!), 0)
    await fleet.until('a lets go', async () => (await blocksOn(a!)) === 0)
    assert.deepEqual(a!.node.usage(), { own: 0, lent: 0 })
    const again = await fleet.start('b')
    assert.ok((await blocksOn(again)) > 0)
    await fleet.until('b lets go', async () => (await blocksOn(again)) === 0)
  })

  it('that do not agree hold nothing: nothing lent, not to this peer, no more to it, no more at all', async () => {
    const [owner] = await start('owner')
    const none = { total: 0, perPeer: 0, lendsTo: () => true }
    await fleet.start('nothing', { lending: none })
    await fleet.start('not-to-you', { lending: { ...SETTINGS.lending, lendsTo: peer => peer !== 'owner' } })
    await fleet.start('little', { lending: { ...SETTINGS.lending, perPeer: BYTES - 1 } })
    const willing = await fleet.start('willing')
    const { cid } = await add(owner!, 3)
    await fleet.until('the willing one', () => holdersOf(owner!, cid).length === 1)
    assert.deepEqual(holdersOf(owner!, cid), ['willing'])
    assert.deepEqual(
      await Promise.all(['nothing', 'not-to-you', 'little'].map(id => blocksOn(fleet.members.get(id)!))),
      [0, 0, 0]
    )
    // its owner changes his mind
    willing.settings = { ...SETTINGS, lending: none }
    await fleet.until('nobody', () => holdersOf(owner!, cid).length === 0)
    await fleet.until('its disk is free', async () => (await blocksOn(willing)) === 0)
  })

  it('that say they have everything and have not are found out and replaced', async () => {
    const [owner] = await start('owner', 'a', 'b')
    fleet.cheat.answer = (peer, kind) => {
      if (peer !== 'a') return undefined
      if (kind === 'hold') return { is: 'held', bytes: BYTES }
      if (kind === 'prove') return { hashes: Array.from({ length: 16 }, () => new Uint8Array(32)) }
      return undefined
    }
    const { cid } = await add(owner!, 1)
    await fleet.until('an honest one', () => holdersOf(owner!, cid).length === 1)
    assert.deepEqual(holdersOf(owner!, cid), ['b'])
  })

  it('cannot prove blocks that they would only fetch when asked', async () => {
    const [owner, a] = await start('owner', 'a')
    const { cid } = await add(owner!, 1)
    await fleet.until('the replica', () => holdersOf(owner!, cid).length === 1)
    let got: number | undefined
    fleet.cheat.answer = (_, kind) => {
      // while it is asked, the owner gives it nothing
      if (kind === 'prove')
        void Array.fromAsync(owner!.node.blocks('a', [cid])).then(([bytes]) => (got = bytes!.length))
      return undefined
    }
    await fleet.until('a proof', () => got != null)
    assert.equal(got, 0)
    assert.ok((await Array.fromAsync(owner!.node.blocks('b', [cid])))[0]!.length > 0)
    assert.ok(a)
  })

  it('that lose blocks of their disk get them back', async () => {
    const [owner, a] = await start('owner', 'a')
    const { cid } = await add(owner!, 1)
    await fleet.until('the replica', () => holdersOf(owner!, cid).length === 1)
    for (const member of [owner!, a!]) {
      const all = await blocksOn(member)
      const { rm } = await import('node:fs/promises')
      for (const each of await readdir(`${member.folder}/blocks`))
        if (each !== 'tmp') await rm(`${member.folder}/blocks/${each}`, { recursive: true })
      await fleet.until(`all blocks of ${member.id}`, async () => (await blocksOn(member)) === all)
    }
    await fleet.until('the proof', () => holdersOf(owner!, cid).length === 1)
  })

  it('fetch by CID from whoever has it, with an answer where nobody has', async () => {
    const [owner, , reader] = await start('owner', 'other', 'reader')
    const { cid } = await add(owner!, 0)
    const { bytes, size } = await reader!.node.own.read(cid, { range: { start: 1000, end: 2000 } })
    const whole = await buffer(seeded('x', BYTES))
    assert.equal(size, BYTES)
    assert.equal(Buffer.compare(await buffer(bytes), whole.subarray(1000, 2000)), 0)
    owner!.kill()
    await assert.rejects(
      reader!.node.own.fetch('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'),
      {
        name: 'BlockMissingError'
      }
    )
  })

  it('give blocks to so many at once: others take what their neighbours have, and wait for the rest', async () => {
    const owner = await fleet.start('owner', { giveAtOnce: 1 })
    const [half, reader] = await start('half', 'reader')
    const { cid } = await add(owner, 0)
    const given: Record<string, number> = {}
    fleet.cheat.block = (peer, bytes) => {
      if (bytes.length > 0) given[peer] = (given[peer] ?? 0) + 1
      if (given.half == null && given.owner === 6) throw new Error('the line is cut')
      return bytes
    }
    await assert.rejects(half!.node.own.fetch(cid), { name: 'BlockMissingError' })
    const others = owner.node.blocks('somebody', [cid, cid])
    await others.next()
    let asked = 0
    fleet.cheat.answer = (peer, kind) => {
      if (peer === 'owner' && kind === 'has') asked++
      return undefined
    }
    given.owner = 0
    const fetched = reader!.node.own.fetch(cid)
    // it has heard that the owner is busy, and looks again
    await until(() => asked > 2, 'the owner is asked again')
    assert.deepEqual(given, { owner: 0, half: 5 })
    await others.return(undefined)
    assert.equal((await fetched).isWhole, true)
    assert.deepEqual(given, { owner: BLOCKS - 5, half: 5 })
  })

  it('give no place for long to who takes nothing: he is cut off when somebody else comes', async () => {
    const owner = await fleet.start('owner', { giveAtOnce: 1 })
    const [reader] = await start('reader')
    const { cid } = await add(owner, 0)
    const slow = owner.node.blocks('somebody', [cid, cid, cid])
    assert.equal((await slow.next()).done, false)
    fleet.now += 9_000
    await assert.rejects(owner.node.blocks('another', [cid]).next(), { name: 'CrowdedError' })
    fleet.now += 2_000
    assert.equal((await reader!.node.own.fetch(cid)).isWhole, true)
    await assert.rejects(slow.next(), { name: 'CrowdedError' }, 'it asks again for the rest')
    // who takes them as they come keeps his place
    const fast = owner.node.blocks('somebody', new Array(100_000).fill(cid))
    for (let bytes = 0; bytes < 500_000; ) bytes += (await fast.next()).value!.length
    fleet.now += 11_000
    await assert.rejects(owner.node.blocks('another', [cid]).next(), { name: 'CrowdedError' })
    await fast.return(undefined)
  })

  it('keep what is theirs when a quota is full, and let go of what was only fetched', async () => {
    const [owner] = await start('owner')
    const small = await fleet.start('small', { quotaBytes: 2 * BYTES + 500_000 })
    const [a, b] = [await add(owner!, 0, 'a'), await add(owner!, 0, 'b')]
    const mine = await add(small, 0, 'mine')
    await small.node.own.fetch(a.cid)
    await small.node.own.fetch(b.cid)
    // a made room for b
    assert.throws(() => small.node.own.info(a.cid), { name: 'UnknownFileError' })
    assert.equal(small.node.own.info(b.cid).isWhole, true)
    await small.node.own.pin(b.cid)
    await assert.rejects(add(small, 0, 'more'), { name: 'QuotaError' })
    await assert.rejects(small.node.own.fetch(a.cid), { name: 'QuotaError' })
    const { bytes } = await small.node.own.read('mine')
    assert.equal(await digest(bytes), await digest(seeded('mine', BYTES)))
    assert.equal(small.node.own.info(mine.cid).isWhole, true)
  })
})
