import assert from 'node:assert/strict'
import { createPresence, HERE_MS, type Sign, TYPING_MS } from '../../../services/messenger/people/presence.ts'
import { has, openSchool, until, whenKnown } from './school.ts'

const CHAT = 'aa'.repeat(32)
const PEOPLE = ['ann', 'bob', 'eve'].map(id => ({ id, name: id }))

/** Devices of ann, bob and eve that hear each other at once; ann and bob share a chat. */
function connect() {
  const time = { ms: 1_000_000 }
  const policy = { presence: true as boolean | undefined }
  const told: string[] = []
  const all = new Map<string, ReturnType<typeof createPresence>>()
  const known = {
    school: new Uint8Array(32),
    policy: () => policy,
    devicesAt: (peer: string) => [peer],
    device: (id: string) => ({ id, user: id, peer: id }),
    person: (id: string) => PEOPLE.find(each => each.id === id)
  }
  for (const { id: self } of PEOPLE)
    all.set(
      self,
      createPresence({
        self,
        store: {
          groups: () => [CHAT],
          generations: () => [{ devices: ['ann', 'bob'] }]
        } as never,
        school: { known: () => known } as never,
        network: {
          async ask(peer: string, _: string, { is, group }: { is: Sign; group?: Uint8Array }) {
            told.push(`${self} ${is} ${peer}`)
            const grp = group == null ? undefined : Buffer.from(group).toString('hex')
            return { isHere: all.get(peer)!.hear(self, is, grp) }
          }
        } as never,
        nodesOf: () => PEOPLE.map(({ id }) => id).filter(id => id !== self),
        now: () => time.ms,
        signal: new AbortController().signal,
        changed: () => undefined
      })
    )
  const sees = (who: string) => {
    const { items, typing } = all.get(who)!.of(
      CHAT,
      PEOPLE.filter(({ id }) => id !== who)
    )
    return { here: items.filter(({ isHere }) => isHere).map(({ id }) => id), typing, items }
  }
  const later = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  return {
    time,
    policy,
    told,
    sees,
    hear: (at: string, from: string, is: Sign) => all.get(at)!.hear(from, is),
    async say(who: string, is: Sign) {
      // nobody is heard twice in a moment
      time.ms += 1_000
      all.get(who)!.say(is, is === 'typing' ? CHAT : undefined)
      await later()
    },
    spoke: (at: string, who: string) => all.get(at)!.spoke(CHAT, who)
  }
}

describe('messenger: who is here, and who writes', () => {
  it('is known of each other at once, and ends with silence or a word', async () => {
    const { say, sees, time } = connect()
    await say('ann', 'here')
    assert.deepEqual([sees('bob').here, sees('ann').here], [['ann'], []])
    await say('bob', 'here')
    // the answer says the same of who was there before
    assert.deepEqual([sees('bob').here, sees('ann').here], [['ann'], ['bob']])
    const at = time.ms
    await say('bob', 'away')
    assert.deepEqual(sees('ann').here, [])
    assert.equal(sees('ann').items.find(({ id }) => id === 'bob')?.seen, at + 1_000)
    time.ms += HERE_MS
    assert.deepEqual(sees('bob').here, [])
  })

  it('is nobody’s business where the school does not let it, and who writes is still seen', async () => {
    const { say, sees, policy, told } = connect()
    for (const off of [false, undefined]) {
      policy.presence = off
      await say('ann', 'here')
      assert.deepEqual([told, sees('bob').items], [[], []])
    }
    await say('ann', 'typing')
    assert.deepEqual(sees('bob').typing, ['ann'])
    policy.presence = true
    assert.deepEqual(sees('bob').here, [])
  })

  it('is told to nobody who is in no chat with him, whatever his node asks', async () => {
    const { say, hear, sees } = connect()
    await say('ann', 'here')
    assert.deepEqual([hear('ann', 'eve', 'away'), hear('ann', 'bob', 'away')], [false, true])
    await say('eve', 'here')
    assert.deepEqual(sees('ann').here, [])
  })

  it('writing ends with what was written, or soon; of a stranger to the chat it is not seen', async () => {
    const { say, sees, spoke, time } = connect()
    await say('ann', 'typing')
    spoke('bob', 'ann')
    assert.deepEqual(sees('bob').typing, [])
    await say('ann', 'typing')
    assert.deepEqual(sees('bob').typing, ['ann'])
    time.ms += TYPING_MS
    assert.deepEqual(sees('bob').typing, [])
    await say('eve', 'typing')
    assert.deepEqual(sees('bob').typing, [])
  })
})

describe('messenger: confirming that one has read', function () {
  this.timeout(600_000)

  it('who asks sees who did and who did not; pupils do, and do not ask', async () => {
    await using school = await openSchool()
    const { desk } = school
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob', 'admin'] })
    await until('all are in', async () => (await has(bob, group)) && (await has(desk, group)))
    const { id: message } = await ann.call('send', { group, text: 'Tomorrow at nine', confirm: true })
    const { id: other } = await ann.call('send', { group, text: 'Well' })
    const seen = async (node: typeof ann): Promise<any> =>
      (await node.call('messages', { group })).items.find(({ id }: { id: string }) => id === message)?.confirm
    await until('bob has both', async () => (await bob.call('messages', { group })).items.length >= 2)
    await until('bob sees what is asked', () => seen(bob))
    assert.deepEqual(await seen(bob), { isDone: false })
    const { missing, ...rest } = await seen(ann)
    assert.deepEqual([rest, missing.toSorted()], [{ isDone: false, by: [] }, ['Admin', 'bob']])

    for (const _ of ['once', 'and again']) await bob.call('confirm', { message })
    assert.deepEqual(await seen(bob), { isDone: true })
    const done = JSON.stringify({ isDone: false, by: ['bob'], missing: ['Admin'] })
    for (const node of [ann, desk])
      await until('who may sees that he did', async () => JSON.stringify(await seen(node)) === done)

    const refused = { name: 'PolicyError' }
    await assert.rejects(bob.call('confirm', { message: other }), refused)
    await assert.rejects(ann.call('confirm', { message }), refused)
    await assert.rejects(bob.call('send', { group, text: 'me too', confirm: true }), refused)
  })

  it('tells members’ nodes who writes, and of nothing that was refused', async () => {
    await using school = await openSchool()
    const { desk } = school
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(desk, 'createGroup', { users: ['bob'] })
    await until('bob is in', () => has(bob, group))
    await until('bob sees that the admin writes', async () => {
      await desk.call('setPresence', { is: 'typing', group })
      return (await bob.call('presence', { group })).typing.includes('Admin')
    })
    assert.deepEqual((await bob.call('presence', { group })).items, [])
    await desk.call('setPolicy', { presence: true })
    await until('bob sees that the admin is here', async () => {
      await desk.call('setPresence', { is: 'here' })
      return (await bob.call('presence', { group })).items[0]?.isHere === true
    })
    await assert.rejects(desk.call('setPresence', { is: 'typing' }), { name: 'RequestError' })
    const strange = { group: 'ff'.repeat(32) }
    await assert.rejects(desk.call('presence', strange), { name: 'UnknownChatError' })
  })
})
