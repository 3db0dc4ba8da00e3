import assert from 'node:assert/strict'
import { peerIdFromString } from '@libp2p/peer-id'
import {
  decodeMlsMessage,
  emptyPskIndex,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  type PrivateMessage,
  processPrivateMessage
} from 'ts-mls'
import { hashOf } from '../../../services/messenger/core/codec.ts'
import { createMls, type Mls, type Session } from '../../../services/messenger/groups/mls.ts'
import { openSuite, SUITE } from '../../../services/messenger/groups/suite.ts'
import { createRandom } from '../../simulation/random.ts'
import { keyOf } from './devices.ts'

interface Member {
  name: string
  mls: Mls
  /** what never changes of its group */
  state?: Uint8Array
  session?: Session
}
/** An envelope as a mailbox has it. */
interface Sent {
  generation: number
  message: Uint8Array
  text: string
}

type Ratcheted = Session['state']['secretTree'][number]['application']
/** Bytes are the same, whatever holds them. */
const plain = ({ secret, generation, unusedGenerations }: Ratcheted) => [
  Buffer.from(secret).toString('hex'),
  generation,
  Object.entries(unusedGenerations).map(([number, key]) => [number, Buffer.from(key).toString('hex')])
]

const MEMBERS = 6
const SEEDS = Number(process.env.MESSENGER_SEEDS ?? 1)

describe('messenger: groups', function () {
  this.timeout(600_000)

  async function people(count: number): Promise<Member[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const { id, seed } = await keyOf(`device ${i}`)
        return { name: id, mls: await createMls(id, seed) }
      })
    )
  }

  /** A generation of these: made by the first, joined by the others. */
  async function renew(members: Member[], number: number): Promise<void> {
    const [author, ...others] = members
    const packages = await Promise.all(others.map(({ mls }) => mls.keyPackage()))
    const groupId = hashOf(Buffer.from(`generation ${number}`))
    const { state, ratchets, welcome } = await author!.mls.create(
      groupId,
      new Map(others.map(({ name }, i) => [name, packages[i]!.publicBytes]))
    )
    author!.state = state
    author!.session = author!.mls.session(state, ratchets)
    const devices = members.map(({ name }) => name)
    for (const [i, other] of others.entries()) {
      const joined = await other.mls.join(welcome!, packages[i]!)
      other.mls.check(joined.state, groupId, devices)
      other.state = joined.state
      other.session = other.mls.session(joined.state, joined.ratchets)
    }
  }

  async function say(from: Member, text: string): Promise<Uint8Array> {
    const { session, message } = await from.mls.seal(from.session!, Buffer.from(text))
    from.session = session
    return message
  }
  async function read(member: Member, message: Uint8Array): Promise<string> {
    const { session, data } = member.mls.open(member.session!, message)
    member.session = session
    return Buffer.from(data).toString()
  }

  for (let seed = 1; seed <= SEEDS; seed++)
    it(`are read by their members through 60 changes, and by nobody who was left out, seed ${seed}`, async () => {
      const random = createRandom(seed)
      const all = await people(MEMBERS)
      let inside = all.slice(0, 3)
      const sent: Sent[] = []
      /** which states each had, and when it was last in */
      const states = new Map(all.map(({ name }) => [name, new Map<number, Session>()]))
      for (let generation = 0; generation < 60; generation++) {
        const one = all[Math.floor(random() * MEMBERS)]!
        const isIn = inside.includes(one)
        if (isIn && inside.length > 2) inside = inside.filter(each => each !== one)
        else if (!isIn) inside = [...inside, one]
        inside.sort(() => random() - 0.5)
        await renew(inside, generation)
        for (const member of inside) states.get(member.name)!.set(generation, member.session!)
        const text = `message ${generation}`
        const message = await say(inside[1]!, text)
        sent.push({ generation, message, text })
        for (const member of inside) if (member !== inside[1]) assert.equal(await read(member, message), text)
      }
      for (const member of all) {
        const had = states.get(member.name)!
        for (const { generation, message } of sent) {
          if (had.has(generation)) continue
          // with what it had just before and just after, and every message of every mailbox
          const near = [...had.keys()].sort((a, b) => Math.abs(a - generation) - Math.abs(b - generation))
          for (const each of near.slice(0, 2))
            assert.throws(() => member.mls.open(had.get(each)!, message), { name: 'MalformedMessageError' })
        }
      }
    })

  it('take messages in any order, each once', async () => {
    const [ann, bob] = await people(2)
    await renew([ann!, bob!], 1)
    const messages: Uint8Array[] = []
    for (let i = 0; i < 40; i++) messages.push(await say(ann!, String(i)))
    const seen: string[] = []
    for (const message of messages.toReversed()) seen.push(await read(bob!, message))
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, i) => String(39 - i))
    )
    await assert.rejects(read(bob!, messages[7]!), { name: 'MalformedMessageError' })
  })

  it('keep what opens the next message, and nothing that opens one again', async () => {
    const [ann, bob] = await people(2)
    const { publicBytes, privateBytes } = await bob!.mls.keyPackage()
    const made = await ann!.mls.create(hashOf(Buffer.from('g')), new Map([[bob!.name, publicBytes]]))
    const joined = await bob!.mls.join(made.welcome!, { publicBytes, privateBytes })
    ann!.session = ann!.mls.session(made.state, made.ratchets)
    const messages = [await say(ann!, 'a'), await say(ann!, 'b'), await say(ann!, 'c')]
    // without its ratchets a group is no more than its members and its address
    assert.throws(() => bob!.mls.open(bob!.mls.session(joined.state, []), messages[0]!))
    const ratchets = new Map(joined.ratchets.map(each => [each.leaf, each]))
    const again = (): Session => bob!.mls.session(joined.state, [...ratchets.values()])
    for (const [i, text] of [[1, 'b'] as const, [0, 'a'] as const]) {
      const { data, session, leaf } = bob!.mls.open(again(), messages[i]!)
      assert.equal(Buffer.from(data).toString(), text)
      ratchets.set(leaf, bob!.mls.ratchet(session, leaf))
      assert.throws(() => bob!.mls.open(again(), messages[i]!), { name: 'MalformedMessageError' })
    }
    bob!.session = again()
    assert.equal(await read(bob!, messages[2]!), 'c')
  })

  it('tell whom a message is from, also where a member writes with the keys of another', async () => {
    const [ann, bob, eve] = await people(3)
    await renew([ann!, bob!, eve!], 1)
    const honest = ann!.mls.open(ann!.session!, await say(bob!, 'hello'))
    assert.deepEqual([honest.from, await honest.isSigned()], [bob!.name, true])
    // all members have all keys; only signatures tell them apart
    const { state } = eve!.session!
    const { leafIndex } = bob!.session!.state.privatePath
    const asBob = { state: { ...state, privatePath: { ...state.privatePath, leafIndex } } }
    const { message } = await eve!.mls.seal(asBob, Buffer.from('I am Bob'))
    const forged = ann!.mls.open(ann!.session!, message)
    assert.deepEqual([forged.from, await forged.isSigned()], [bob!.name, false])
  })

  it('are opened as the library opens them, in any order, and not where anything of them was changed', async () => {
    const [ann, bob] = await people(2)
    await renew([ann!, bob!], 1)
    const suite = await openSuite((await keyOf('device 1')).seed, peerIdFromString(bob!.name).publicKey!.raw)
    const random = createRandom(1)
    const messages: Uint8Array[] = []
    for (const length of [0, 1, 59, 60, 61, 200, 16_000, 40_000, 5, 6])
      messages.push(await say(ann!, 'x'.repeat(length)))
    let { state } = bob!.session!
    let session = bob!.session!
    for (const message of messages.toSorted(() => random() - 0.5)) {
      const decoded = decodeMlsMessage(message, 0)![0] as { privateMessage: PrivateMessage }
      const theirs = await processPrivateMessage(state, decoded.privateMessage, emptyPskIndex, suite)
      const ours = bob!.mls.open(session, message)
      assert.equal(theirs.kind, 'applicationMessage')
      const length = Buffer.from(theirs.message).readUInt32BE()
      assert.deepEqual(Buffer.from(ours.data), Buffer.from(theirs.message.subarray(4, 4 + length)))
      for (let i = 0; i < 20; i++) {
        const other = message.slice()
        other[Math.floor(random() * message.length)]! ^= 1 << Math.floor(random() * 8)
        assert.throws(() => bob!.mls.open(session, other), { name: 'MalformedMessageError' })
      }
      const cut = message.subarray(0, Math.floor(random() * message.length))
      assert.throws(() => bob!.mls.open(session, cut), { name: 'MalformedMessageError' })
      ;({ newState: state } = theirs)
      ;({ session } = ours)
      const { application } = session.state.secretTree[ours.leaf]!
      assert.deepEqual(plain(application), plain(state.secretTree[ours.leaf]!.application))
    }
    const end = messages.at(-1)!
    assert.throws(() => bob!.mls.open(bob!.session!, Buffer.concat([end, Uint8Array.of(0)])), {
      name: 'MalformedMessageError'
    })
  })

  it('compute what the library computes by WebCrypto', async () => {
    const { seed, id } = await keyOf('device')
    const usual = await getCiphersuiteImpl(getCiphersuiteFromName(SUITE))
    const own = await openSuite(seed, peerIdFromString(id).publicKey!.raw)
    const random = createRandom(1)
    const some = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(256 * random()))
    for (const length of [0, 1, 31, 32, 33, 1_000]) {
      const [key, nonce, data] = [some(16), some(12), some(length)]
      const salt = some(32)
      const secret = await usual.kdf.extract(salt, data)
      assert.deepEqual(await own.kdf.extract(salt, data), secret)
      for (const size of [1, 12, 16, 32, 64, 100])
        assert.deepEqual(
          Buffer.from(await own.kdf.expand(secret, data, size)),
          Buffer.from(await usual.kdf.expand(secret, data, size))
        )
      assert.deepEqual(await own.hash.digest(data), await usual.hash.digest(data))
      const mac = await usual.hash.mac(key, data)
      assert.deepEqual(await own.hash.mac(key, data), mac)
      assert.equal(await own.hash.verifyMac(key, mac, data), true)
      assert.equal(await own.hash.verifyMac(key, some(32), data), false)
      const signature = await usual.signature.sign(seed, data)
      assert.deepEqual(await own.signature.sign(seed, data), signature)
      const raw = peerIdFromString(id).publicKey!.raw
      assert.equal(await own.signature.verify(raw, data, signature), true)
      assert.equal(await own.signature.verify(raw, some(40), signature), false)
      const sealed = await usual.hpke.encryptAead(key, nonce, data, data)
      assert.deepEqual(await own.hpke.encryptAead(key, nonce, data, data), sealed)
      assert.deepEqual(await own.hpke.decryptAead(key, nonce, data, sealed), data)
      await assert.rejects(own.hpke.decryptAead(key, nonce, some(7), sealed))
    }
  })

  it('have secrets and addresses of their own, equal for all members', async () => {
    const [ann, bob] = await people(2)
    await renew([ann!, bob!], 1)
    const first = await ann!.mls.secret(ann!.state!, 'address')
    assert.deepEqual(await bob!.mls.secret(bob!.state!, 'address'), first)
    assert.notDeepEqual(await bob!.mls.secret(bob!.state!, 'slot'), first)
    await renew([ann!, bob!], 2)
    assert.notDeepEqual(await ann!.mls.secret(ann!.state!, 'address'), first)
  })

  it('let in nobody by the package of another, and no member that the generation does not name', async () => {
    const [ann, bob, eve] = await people(3)
    const package_ = await eve!.mls.keyPackage()
    await assert.rejects(
      ann!.mls.create(hashOf(Buffer.from('g')), new Map([[bob!.name, package_.publicBytes]])),
      {
        name: 'MalformedMessageError'
      }
    )
    const bobs = await bob!.mls.keyPackage()
    const { welcome } = await ann!.mls.create(
      hashOf(Buffer.from('g')),
      new Map([
        [bob!.name, bobs.publicBytes],
        [eve!.name, package_.publicBytes]
      ])
    )
    const { state } = await bob!.mls.join(welcome!, bobs)
    const check = (name: string, members: Member[]) => () =>
      bob!.mls.check(
        state,
        hashOf(Buffer.from(name)),
        members.map(each => each.name)
      )
    check('g', [ann!, bob!, eve!])()
    assert.throws(check('g', [ann!, bob!]), { name: 'MalformedMessageError' })
    assert.throws(check('h', [ann!, bob!, eve!]), { name: 'MalformedMessageError' })
  })

  it('show of a message its length in steps of 256 bytes only', async () => {
    const [ann, bob] = await people(2)
    await renew([ann!, bob!], 1)
    const lengths = []
    for (const size of [1, 100, 250, 260]) lengths.push((await say(ann!, 'x'.repeat(size))).length)
    assert.equal(new Set(lengths.slice(0, 3)).size, 1)
    assert.equal(lengths[3]! - lengths[0]!, 256)
  })
})
