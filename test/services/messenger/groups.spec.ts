import assert from 'node:assert/strict'
import { hashOf } from '../../../services/messenger/core/codec.ts'
import { createMls, type Mls } from '../../../services/messenger/groups/mls.ts'
import { createRandom } from '../../simulation/random.ts'
import { keyOf } from './devices.ts'

interface Member {
  name: string
  mls: Mls
  state?: Uint8Array
}
/** An envelope as a mailbox has it. */
interface Sent {
  generation: number
  message: Uint8Array
  text: string
}

const MEMBERS = 6
const SEEDS = Number(process.env.MESSENGER_SEEDS ?? 1)

describe('messenger: groups', function () {
  this.timeout(300_000)

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
    const { state, welcome } = await author!.mls.create(
      groupId,
      new Map(others.map(({ name }, i) => [name, packages[i]!.publicBytes]))
    )
    author!.state = state
    const devices = members.map(({ name }) => name)
    for (const [i, other] of others.entries()) {
      other.state = await other.mls.join(welcome!, packages[i]!)
      other.mls.check(other.state, groupId, devices)
    }
  }

  async function say(from: Member, text: string): Promise<Uint8Array> {
    const { state, message } = await from.mls.seal(from.state!, Buffer.from(text))
    from.state = state
    return message
  }
  async function read(member: Member, message: Uint8Array): Promise<string> {
    const { state, data } = await member.mls.open(member.state!, message)
    member.state = state
    return Buffer.from(data).toString()
  }

  for (let seed = 1; seed <= SEEDS; seed++)
    it(`are read by their members through 60 changes, and by nobody who was left out, seed ${seed}`, async () => {
      const random = createRandom(seed)
      const all = await people(MEMBERS)
      let inside = all.slice(0, 3)
      const sent: Sent[] = []
      /** which states each had, and when it was last in */
      const states = new Map(all.map(({ name }) => [name, new Map<number, Uint8Array>()]))
      for (let generation = 0; generation < 60; generation++) {
        const one = all[Math.floor(random() * MEMBERS)]!
        const isIn = inside.includes(one)
        if (isIn && inside.length > 2) inside = inside.filter(each => each !== one)
        else if (!isIn) inside = [...inside, one]
        inside.sort(() => random() - 0.5)
        await renew(inside, generation)
        for (const member of inside) states.get(member.name)!.set(generation, member.state!)
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
            await assert.rejects(member.mls.open(had.get(each)!, message), { name: 'MalformedMessageError' })
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
    const state = await bob!.mls.join(welcome!, bobs)
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
