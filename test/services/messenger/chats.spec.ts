import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fromHex, hashOf, toHex } from '../../../services/messenger/core/codec.ts'
import { putInto } from '../../../services/messenger/mailbox/envelope.ts'
import { contains, cut, has, type Node, openSchool, say, textsOf, until, whenKnown } from './school.ts'

const DAY_MS = 24 * 3_600_000

/** The first value of the first row in a node's database; undefined: there is none. */
async function firstIn({ folder }: Node, sql: string): Promise<unknown> {
  const db = new DatabaseSync(join(folder, 'messenger', 'messenger.sqlite'))
  try {
    return Object.values(db.prepare(sql).get() ?? {})[0]
  } finally {
    db.close()
  }
}
const holds = async (node: Node, sql: string): Promise<boolean> => (await firstIn(node, sql)) != null

describe('messenger: a school on loopback', function () {
  this.timeout(600_000)

  it('chats: what one writes all read, in one order; edits, deletions, signs, files, search', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    // else her class would be without him
    await until('ann knows bob', async () =>
      (await ann.call('users')).items.some((each: any) => each.id === 'bob')
    )
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', classes: ['7b'] })
    await until('bob is in the chat', () => has(bob, group))
    const { id: first } = await ann.call('send', {
      group,
      text: 'Завтра экскурсия, приносите ёлочные игрушки'
    })
    await until('bob reads it', async () => (await textsOf(bob, group)).length === 1)
    const [seen] = (await bob.call('messages', { group })).items
    await bob.call('markRead', { group, at: seen.at })
    await bob.call('send', { group, text: 'The buses leave at nine?' })
    await bob.call('react', { message: first, with: '👍' })
    await until('ann reads the answer', async () => (await textsOf(ann, group)).length === 2)
    assert.deepEqual(await textsOf(ann, group), await textsOf(bob, group))

    const find = async (text: string): Promise<string[]> =>
      (await bob.call('search', { text })).items.map((each: any) => each.line.text)
    assert.deepEqual(await find('экскурсии'), ['Завтра экскурсия, приносите ёлочные игрушки'])
    assert.deepEqual(await find('елочная игрушка'), ['Завтра экскурсия, приносите ёлочные игрушки'])
    assert.deepEqual(await find('LEAVING nine'), ['The buses leave at nine?'])
    assert.deepEqual(await find('"'), [])

    await ann.call('edit', { message: first, text: 'Послезавтра экскурсия' })
    await until('bob sees the edit', async () =>
      (await textsOf(bob, group)).includes('Послезавтра экскурсия')
    )
    assert.deepEqual(await find('завтра'), [])
    await assert.rejects(bob.call('edit', { message: first, text: 'no school' }), { name: 'PolicyError' })
    await assert.rejects(bob.call('delete', { message: first }), { name: 'PolicyError' })
    const lines = (await bob.call('messages', { group })).items
    const edited = lines.find((each: any) => each.id === first)
    assert.equal(edited.isEdited, true)
    assert.deepEqual(edited.reactions, [{ with: '👍', by: ['bob'] }])

    const bytes = new Uint8Array(300_000).map((_, i) => i % 251)
    const base64 = (content: Uint8Array): string => Buffer.from(content).toString('base64')
    const { id: file } = await bob.call('addFile', { group, name: 'фото.png', bytes: base64(bytes) })
    await until('ann has the file', async () =>
      (await ann.call('messages', { group })).items.some((each: any) => each.id === file)
    )
    assert.deepEqual(await ann.call('file', { message: file }), { name: 'фото.png', bytes })
    await assert.rejects(
      bob.call('addFile', { group, name: 'big', bytes: base64(new Uint8Array(5 * 1024 * 1024 + 1)) }),
      {
        name: 'PolicyError'
      }
    )

    await until('ann sees that bob has read it', async () => {
      const { items } = await ann.call('messages', { group })
      return items.find((each: any) => each.id === first).readBy.includes('bob')
    })
    await ann.call('delete', { message: first })
    await until(
      'it is gone at bob',
      async () => !(await textsOf(bob, group)).includes('Послезавтра экскурсия')
    )
    assert.deepEqual(await find('послезавтра'), [])
  })

  it('gives who was away everything later, from a mailbox that reads nothing, also after its kill', async () => {
    await using school = await openSchool()
    const box = await school.join('box', 'teacher')
    await school.desk.call('setMailboxes', { peers: [school.desk.id, box.id] })
    const ann = await school.join('ann', 'teacher')
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-'))
    const bob = await school.join('bob', 'pupil', { folder })
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await bob[Symbol.asyncDispose]()
    const canary = 'Канарейка canary'
    for (let i = 0; i < 10; i++) await ann.call('send', { group, text: `${canary} ${i}` })
    await until('the mailboxes have all', async () => (await ann.call('status')).outbox === 0)
    for (const each of [school.desk, box])
      assert.equal(await contains(each.folder, ['Канарейка', 'canary']), false, 'a mailbox has no plain text')
    assert.equal(await contains(ann.folder, ['canary']), true, 'the search of this test finds what is there')
    await box[Symbol.asyncDispose]()
    const again = await school.node({ folder, identity: bob.identity })
    await until('bob has all', async () => (await textsOf(again, group)).length === 10)
    assert.deepEqual(await textsOf(again, group), await textsOf(ann, group))
    // a majority of two is two
    await assert.rejects(ann.call('changeGroup', { group, title: 'new' }), { name: 'NoMajorityError' })
    await ann.call('send', { group, text: 'still here' })
    await until('bob has it', async () => (await textsOf(again, group)).includes('still here'))
    await rm(folder, { recursive: true })
  })

  it('leaves out who is removed, and adds who comes later with what was said before', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await bob.call('send', { group, text: 'hello' })
    await until('ann has it', async () => (await textsOf(ann, group)).length === 1)
    await assert.rejects(bob.call('changeGroup', { group, add: ['admin'] }), { name: 'PolicyError' })
    // what is no message, where one is expected, holds up none
    const [own, box] = [ann, school.desk].map(
      ({ folder }) => new DatabaseSync(join(folder, 'messenger', 'messenger.sqlite'))
    )
    const { address } = own!.prepare('SELECT address FROM generation WHERE grp = ?').get(group) as {
      address: string
    }
    const garbage = putInto(fromHex(address), Buffer.from('no message of MLS at all'))
    box!
      .prepare('INSERT INTO envelope (id, address, bytes, at) VALUES (?, ?, ?, ?)')
      .run(toHex(hashOf(garbage)), address, garbage, Date.now())
    own!.close()
    box!.close()
    await ann.call('send', { group, text: 'behind it' })
    await until('bob has it', async () => (await textsOf(bob, group)).includes('behind it'))
    // deleted with what it was before, and nobody who comes later misses what was said behind it
    const { id: message } = await ann.call('send', { group, text: 'a mistake' })
    await ann.call('edit', { message, text: 'mistaken again' })
    await ann.call('delete', { message })
    await ann.call('changeGroup', { group, remove: ['bob'] })
    await ann.call('send', { group, text: 'without bob' })
    await until('bob knows', async () => !(await has(bob, group)))
    await assert.rejects(bob.call('send', { group, text: 'let me in' }), { name: 'PolicyError' })

    const kim = await school.join('kim', 'pupil')
    await whenKnown(ann, 'changeGroup', { group, add: ['kim'] })
    await until('kim is in the chat', () => has(kim, group))
    await until('kim has what was before', async () => (await textsOf(kim, group)).length === 3)
    await kim.call('send', { group, text: 'hi all' })
    await until('ann reads kim', async () => (await textsOf(ann, group)).includes('hi all'))
    assert.deepEqual(await textsOf(kim, group), ['hello', 'behind it', 'without bob', 'hi all'])
    assert.deepEqual(await textsOf(bob, group), ['hello', 'behind it'])
    assert.equal(await contains(bob.folder, ['without bob', 'hi all']), false)
    for (const { folder } of [ann, kim])
      await until('it is in no file', async () => !(await contains(folder, ['mistake'])))

    // disabled by the admin, who is not in the chat: its members leave him out by themselves
    await school.desk.call('addUser', { user: 'kim', name: 'kim', isDisabled: true })
    await until('kim is out', async () => {
      const [chat] = (await ann.call('groups')).items
      return !chat.people.some((each: any) => each.id === 'kim')
    })
    await ann.call('send', { group, text: 'without kim' })
    // nobody of the school talks to his node any more, so it does not know
    await kim.call('send', { group, text: 'let me in' })
    await ann.call('send', { group, text: 'still without kim' })
    assert.deepEqual(await textsOf(kim, group), ['hello', 'behind it', 'without bob', 'hi all', 'let me in'])
    assert.equal((await textsOf(ann, group)).includes('let me in'), false)
  })

  it('goes on by itself without who leaves, and with who is let in again', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const max = await school.join('max', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['max', 'bob'] })
    for (const each of [max, bob]) await until('all are in the chat', () => has(each, group))
    await assert.rejects(bob.call('leaveGroup', { group }), {
      name: 'PolicyError',
      message: /pupils leave no chats/
    })
    await max.call('send', { group, text: 'good bye' })
    await max.call('leaveGroup', { group })
    await assert.rejects(max.call('send', { group, text: 'one more' }), {
      name: 'PolicyError',
      message: /you have left/
    })
    await until('ann goes on without him', async () => {
      const [chat] = (await ann.call('groups')).items
      return !chat.people.some((each: any) => each.id === 'max')
    })
    await ann.call('send', { group, text: 'without max' })
    await until('bob reads on', async () => (await textsOf(bob, group)).includes('without max'))
    const { items } = await bob.call('messages', { group })
    assert.ok(items.some((each: any) => each.kind === 'leave' && each.by.id === 'max'))
    await assert.rejects(ann.call('leaveGroup', { group }), {
      name: 'PolicyError',
      message: /all others are pupils/
    })
    assert.equal(await has(max, group), false)
    assert.equal(await contains(max.folder, ['without max']), false)
    await ann.call('changeGroup', { group, add: ['max'] })
    await until('max is back', () => has(max, group))
    await max.call('send', { group, text: 'here again' })
    await until('ann reads him', async () => (await textsOf(ann, group)).includes('here again'))
    // both at once: one stays, and writes on
    await Promise.allSettled([ann, max].map(each => each.call('leaveGroup', { group })))
    await until('the pupil is in the chat with one of them', async () => {
      const [chat] = (await bob.call('groups')).items
      return chat.isIn && chat.people.length === 2
    })
    const [chat] = (await bob.call('groups')).items
    const stays = chat.people.some((each: any) => each.id === 'ann') ? ann : max
    await until('who stays is in it', () => has(stays, group))
    await stays.call('send', { group, text: 'I stay' })
    await until('the pupil reads on', async () => (await textsOf(bob, group)).includes('I stay'))
  })

  it('has fresh keys a week later, where something was said', async () => {
    let later = 0
    await using school = await openSchool({ now: () => Date.now() + later })
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    const { id: silent } = await ann.call('createGroup', { title: 'silent', users: ['bob'] })
    for (const each of [group, silent]) await until('bob is in the chat', () => has(bob, each))
    await bob.call('send', { group, text: 'hello' })
    await until('ann has it', async () => (await textsOf(ann, group)).length === 1)
    later = 8 * 24 * 3_600_000
    const generation = async (of: typeof ann, id: string): Promise<number> =>
      (await of.call('groups')).items.find((each: any) => each.id === id).generation
    for (const each of [ann, bob])
      await until(
        'the keys are fresh, and here',
        async () => (await generation(each, group)) === 1 && (await has(each, group))
      )
    await bob.call('send', { group, text: 'under fresh keys' })
    await until('ann reads on', async () => (await textsOf(ann, group)).includes('under fresh keys'))
    assert.equal(await generation(ann, silent), 0)
  })

  it('has fresh keys though the clock of who made the last ones was far ahead', async () => {
    let later = 0
    await using school = await openSchool({ now: () => Date.now() + later })
    const ann = await school.join('ann', 'teacher', { now: () => Date.now() + 60 * DAY_MS })
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await ann.call('send', { group, text: 'hello' })
    await until('bob has looked at the keys', () => holds(bob, `SELECT 1 FROM own WHERE key LIKE 'ahead %'`))
    later = 8 * DAY_MS
    await until('the keys are fresh', async () => {
      const [{ generation }] = (await bob.call('groups')).items
      return generation === 1
    })
  })

  it('takes no key packages where one of its members has none', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const max = await school.join('max', 'pupil')
    const of = async ({ call }: typeof ann): Promise<string> => (await call('status')).device
    const left = (device: string): Promise<boolean> =>
      holds(school.desk, `SELECT 1 FROM package WHERE device = '${device}'`)
    const [ofBob, ofMax] = [await of(bob), await of(max)]
    for (const device of [ofBob, ofMax]) await until('packages are there', () => left(device))
    await whenKnown(ann, 'createGroup', { title: 'before', users: ['bob', 'max'] })
    await max.libp2p.stop()
    await holds(school.desk, `DELETE FROM package WHERE device = '${ofMax}' RETURNING 1`)
    await bob.libp2p.stop()
    const count = `SELECT count(*) AS n FROM package WHERE device = '${ofBob}'`
    const before = await firstIn(school.desk, count)
    await assert.rejects(ann.call('createGroup', { title: '7b', users: ['bob', 'max'] }), {
      message: /no mailbox has a key package of max/
    })
    assert.equal(await firstIn(school.desk, count), before)
  })

  it('who knows less of the roster follows what was decided by who knew more', async () => {
    await using school = await openSchool()
    const { desk } = school
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'teacher')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    const heal = await cut([[bob], [desk, ann]])
    await desk.call('addUser', { user: 'max', name: 'Max' })
    await whenKnown(ann, 'changeGroup', { group, add: ['max'] })
    await heal()
    await until('bob changes it, too', () =>
      bob.call('changeGroup', { group, title: '8b' }).then(
        () => true,
        () => false
      )
    )
    for (const each of [ann, bob])
      await until('both are in the same chat', async () => {
        const [{ title, people }] = (await each.call('groups')).items
        return title === '8b' && people.length === 3
      })
  })

  it('goes on where two change it at the same moment, again and again', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const max = await school.join('max', 'teacher')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['max'] })
    await until('max is in the chat', () => has(max, group))
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        [ann, max].map((node, i) =>
          node.call('changeGroup', { group, title: `${round} of ${i}` }).catch((error: Error) => {
            // the other was faster, and the keys are on their way
            if (error.name !== 'PolicyError' && error.name !== 'NoMajorityError') throw error
          })
        )
      )
      for (const [i, node] of [ann, max].entries()) await say(node, group, `${round} from ${i}`)
      for (const node of [ann, max])
        await until('both have both', async () => (await textsOf(node, group)).length === 2 * (round + 1))
    }
    const titleOf = async (node: typeof ann): Promise<string> =>
      (await node.call('groups')).items.find((each: any) => each.id === group).title
    await until('both are in the same', async () => (await titleOf(ann)) === (await titleOf(max)))
  })

  it('goes on saying and reading while a change waits for a mailbox that is silent', async () => {
    await using school = await openSchool()
    const box = await school.join('box', 'teacher')
    await school.desk.call('setMailboxes', { peers: [school.desk.id, box.id] })
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'teacher')
    const { id: group } = await whenKnown(ann, 'createGroup', { users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    // it takes what it is asked, and answers nothing
    const protocol = box.libp2p.getProtocols().find(each => each.includes('/messenger/'))!
    await box.libp2p.unhandle(protocol)
    await box.libp2p.handle(protocol, () => undefined)
    const said: string[] = []
    // on a slow machine it may have given up meanwhile, and is asked again
    await until('they speak while the change waits', async () => {
      let isWaiting = true
      const changing = ann
        .call('changeGroup', { group, title: 'new' })
        .catch(() => undefined)
        .finally(() => {
          isWaiting = false
        })
      for (const [from, to] of [[ann, bob] as const, [bob, ann] as const]) {
        said.push(`message ${said.length}`)
        await from.call('send', { group, text: said.at(-1) })
        await until('the other reads it', async () => (await textsOf(to, group)).includes(said.at(-1)!))
      }
      if (!isWaiting) await changing
      return isWaiting
    })
    for (const node of [ann, bob]) assert.deepEqual(await textsOf(node, group), said)
  })

  it('keeps policy: pupils do not write to each other, nor make groups; strangers hear nothing', async () => {
    await using school = await openSchool()
    const [bob, kim] = [await school.join('bob', 'pupil'), await school.join('kim', 'pupil')]
    await assert.rejects(bob.call('createGroup', { users: ['kim'] }), { name: 'PolicyError' })
    await assert.rejects(bob.call('addUser', { user: 'eve', name: 'eve' }), { name: 'PolicyError' })
    await assert.rejects(bob.call('setPolicy', { pupilsToPupils: true }), { name: 'PolicyError' })
    await school.desk.call('setPolicy', { pupilsToPupils: true })
    await until('bob knows', async () => (await bob.call('status')).policy.pupilsToPupils)
    const { id: group } = await whenKnown(bob, 'createGroup', { users: ['kim'] })
    await until('kim is in', () => has(kim, group))

    // a report has the words, and the proof where pupils send files
    const { id: message } = await kim.call('send', { group, text: 'you fool' })
    await until('bob reads it', async () => (await textsOf(bob, group)).length === 1)
    const { chat } = await whenKnown(bob, 'report', { message, reason: 'he is mean' })
    await school.desk.call('setPolicy', { pupilFiles: false })
    await until('bob knows', async () => !(await bob.call('status')).policy.pupilFiles)
    assert.equal((await bob.call('report', { message, reason: 'still' })).chat, chat)
    await until('the admin has both', async () => {
      if (!(await has(school.desk, chat))) return false
      const texts = (await textsOf(school.desk, chat)).join('\n')
      return ['he is mean', 'still', 'you fool'].every(text => texts.includes(text))
    })
    const files = (await school.desk.call('messages', { group: chat })).items.filter(({ file }: any) => file)
    assert.equal(files.length, 1)
    const proof = await school.desk.call('file', { message: files[0].id })
    const { events } = JSON.parse(Buffer.from(proof.bytes).toString())
    assert.equal(events.at(-1).id, createHash('sha256').update(events.at(-1).bytes, 'base64').digest('hex'))
    assert.equal(events.at(-1).id, message)

    const { invitation } = await school.desk.call('addUser', { user: 'eve', name: 'eve' })
    const eve = await school.node()
    const { code } = await school.desk.call('invite', { user: 'eve' })
    await assert.rejects(eve.call('join', { code: invitation.code }), { name: 'SchoolError' }, 'it is void')
    await eve.call('join', { code })
    const mallory = await school.node()
    await assert.rejects(mallory.call('join', { code }), { name: 'SchoolError' }, 'it was used')
    await assert.rejects(
      mallory.call('groups').then(() => mallory.call('users')),
      { name: 'SchoolError' }
    )
  })
})
