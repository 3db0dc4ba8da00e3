import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../../services/host/index.ts'
import { hashOf, NO_HASH, toHex } from '../../../services/messenger/core/codec.ts'
import { type Event, type Read, readSigned, signEvent } from '../../../services/messenger/core/event.ts'
import { goneOf, readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import { mayPin, maySilence, silenceAt } from '../../../services/messenger/core/moderation.ts'
import { createIntake } from '../../../services/messenger/device/intake.ts'
import { createLeaving } from '../../../services/messenger/device/leaving.ts'
import { createNotes } from '../../../services/messenger/device/notes.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { createView } from '../../../services/messenger/device/view.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { foundSchool, type Key, START_MS } from './devices.ts'
import { has, type Node, openSchool, say, textsOf, until, whenKnown } from './school.ts'

const MINUTE_MS = 60_000
const NO_QUIET = { current: () => undefined, heldIn: () => () => false }

describe('messenger: who may pin and silence', () => {
  it('teachers silence pupils, admins both, nobody an admin; as the roster was then', async () => {
    const { roster, admin, add, state } = await foundSchool()
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'pupil')]
    const may = (by: { id: string }, user: string, at = roster.head): boolean =>
      maySilence({ device: by.id, roster: at, body: { user, minutes: 1, reason: 'r' } }, roster)
    deepEqual(
      [may(ann, 'bob'), may(admin, 'ann'), may(admin, 'bob'), may(admin, 'nobody')],
      [true, true, true, false]
    )
    deepEqual(
      [may(bob, 'ann'), may(bob, 'bob'), may(ann, 'admin'), may(ann, 'ann'), may(admin, 'admin')],
      [false, false, false, false, false]
    )
    const then = roster.head
    state(admin, 'users', { users: [{ ...roster.user('ann')!, role: 'pupil' }] })
    deepEqual([may(ann, 'bob', then), may(ann, 'bob')], [true, false])
  })

  it('a pupil pins as long as two are in the chat', async () => {
    const { roster, add } = await foundSchool()
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'pupil')]
    const generations = [
      { timeMs: START_MS, users: ['ann', 'bob'] },
      { timeMs: START_MS + 10, users: ['ann', 'bob', 'eve'] }
    ] as never
    const may = (by: { id: string }, timeMs: number): boolean =>
      mayPin({ device: by.id, roster: roster.head, timeMs }, generations, roster)
    deepEqual([may(bob, START_MS + 9), may(bob, START_MS + 10), may(ann, START_MS + 10)], [true, false, true])
  })

  it('the newest word on a person counts, from its time to its end', () => {
    const silence = (timeMs: number, minutes: number, user = 'bob') =>
      ({ timeMs, body: { user, minutes, reason: '' } }) as never
    const all = [
      silence(0, 10),
      silence(MINUTE_MS, 10, 'eve'),
      silence(2 * MINUTE_MS, 0),
      silence(5 * MINUTE_MS, 1)
    ]
    const at = (minutes: number): boolean => silenceAt(all, 'bob', minutes * MINUTE_MS) != null
    deepEqual([0, 1.9, 2, 4.9, 5, 5.9, 6].map(at), [true, true, false, false, true, true, false])
    equal(silenceAt(all, undefined, 0), undefined)
  })
})

describe('messenger: who leaves', () => {
  it('goes as long as others can go on without him; of all who go at once, the last ones stay', async () => {
    const { roster, admin, add, state } = await foundSchool()
    for (const id of ['ann', 'max']) await add(id, 'teacher')
    for (const id of ['bob', 'eve']) await add(id, 'pupil')
    const gone = (users: string[], said: string[]): string[] => [...goneOf(users, said, roster)]
    deepEqual(gone(['ann', 'max', 'bob'], ['max', 'ann']), ['max'])
    deepEqual(gone(['ann', 'max', 'bob'], ['ann', 'max']), ['ann'])
    deepEqual(gone(['ann', 'max'], ['ann', 'max']), ['ann'])
    deepEqual(gone(['ann'], ['ann']), [])
    deepEqual(gone(['ann', 'bob', 'eve'], ['ann']), [])
    // a teacher who does not count any more keeps no chat going
    state(admin, 'users', { users: [{ ...roster.user('max')!, isDisabled: true }] })
    deepEqual(gone(['ann', 'max', 'bob'], ['ann']), [])
    state(admin, 'policy', { ...roster.policy(), pupilGroups: true, pupilsToPupils: true })
    deepEqual(gone(['ann', 'bob', 'eve'], ['ann', 'bob', 'eve']), ['ann', 'bob'])
  })

  it('is heard by all, whatever else they have heard, and it is not undone by deleting that', async () => {
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-leaving-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const { roster, admin, add, state } = await foundSchool()
    const [ann, max] = [await add('ann', 'teacher'), await add('max', 'teacher')]
    const bob = await add('bob', 'pupil')
    const about = { title: 'chat', history: 'all' as const, timeMs: START_MS }
    const first = signGeneration(ann.signer, {
      ...{ ...about, group: NO_HASH, g: 0, prev: NO_HASH, by: ann.id, roster: roster.head, heads: [] },
      ...{ users: ['ann', 'max', 'bob'], devices: [ann.id, max.id, bob.id] }
    })
    const { group, hash } = readGeneration(first)
    const place = { group, device: max.id, after: [], roster: roster.head }
    const leave = signEvent(max.signer, {
      ...{ ...place, seq: 0, prev: NO_HASH, timeMs: START_MS + 1, kind: 'leave', body: {} }
    } as Event)
    const undo = signEvent(max.signer, {
      ...{ ...place, seq: 1, prev: hashOf(leave.bytes), timeMs: START_MS + 2 },
      ...{ kind: 'delete', body: { of: hashOf(leave.bytes) } }
    } as Event)
    state(admin, 'users', { users: [{ ...roster.user('ann')!, isDisabled: true }] })
    const next = signGeneration(bob.signer, {
      ...{ ...about, group, g: 1, prev: hash, by: bob.id, roster: roster.head, heads: [] },
      ...{ users: ['max', 'bob'], devices: [max.id, bob.id] }
    })
    const takes = (name: string, generations: (typeof first)[]) => {
      const db = openDatabase(join(folder, name), MIGRATIONS)
      ended.defer(() => db.close())
      const store = openDeviceStore(db, Date.now, () => undefined)
      for (const each of generations) store.addGeneration(each)
      const intake = createIntake({ store, roster: () => roster, self: bob.id })
      const refused: string[] = []
      for (const each of [leave, undo])
        intake.take(toHex(group), [readSigned(each)], ({ message }) => refused.push(message))
      const leaving = createLeaving(store, { known: () => roster } as never, bob.id)
      const isThere = store.event(toHex(hashOf(leave.bytes))) != null
      return { refused, isThere, gone: [...leaving.gone(toHex(group))] }
    }
    // nobody is left who could go on without max
    deepEqual(takes('before', [first]), { refused: [], isThere: true, gone: [] })
    deepEqual(takes('after', [first, next]), { refused: [], isThere: true, gone: [] })
    state(admin, 'users', { users: [{ ...roster.user('ann')!, isDisabled: false }] })
    deepEqual(takes('again', [first]), { refused: [], isThere: true, gone: ['max'] })
    // who made the next generation may have known of it: a pupil could not let max go, ann could
    const knowing = (by: Key) =>
      signGeneration(by.signer, {
        ...{ ...about, group, g: 1, prev: hash, by: by.id, roster: roster.head },
        ...{ users: ['ann', 'max', 'bob'], devices: [ann.id, max.id, bob.id] },
        heads: [[max.id, 0, hashOf(leave.bytes)]]
      })
    deepEqual(takes('by-a-pupil', [first, knowing(bob)]).gone, ['max'])
    deepEqual(takes('by-ann', [first, knowing(ann)]).gone, [])
  })
})

describe('messenger: a changed client', () => {
  it('is not heard while it is silenced, silences nobody whom it may not, and breaks no chain by it', async () => {
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-moderation-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const { roster, admin, add } = await foundSchool()
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'pupil')]
    const users = ['admin', 'ann', 'bob']
    const generation = signGeneration(ann.signer, {
      ...{ group: NO_HASH, g: 0, prev: NO_HASH, by: ann.id, roster: roster.head, timeMs: START_MS },
      ...{ title: 'chat', history: 'all', users, devices: [admin.id, ann.id, bob.id], heads: [] }
    })
    const { group } = readGeneration(generation)
    const grp = toHex(group)
    const chains = new Map<Key, Read[]>()
    function sign(by: Key, kind: string, body: object, timeMs: number): Read {
      const chain = chains.get(by) ?? []
      chains.set(by, chain)
      const prev = chain.length === 0 ? NO_HASH : hashOf(chain.at(-1)!.bytes)
      // it names nothing of what others said
      const place = { group, device: by.id, seq: chain.length, prev, after: [], roster: roster.head, timeMs }
      chain.push(readSigned(signEvent(by.signer, { ...place, kind, body } as Event)))
      return chain.at(-1)!
    }
    const at = (minutes: number): number => START_MS + minutes * MINUTE_MS
    const of = ({ bytes }: Read): Uint8Array => hashOf(bytes)
    const first = sign(ann, 'text', { text: 'hello' }, at(1))
    const said = sign(bob, 'text', { text: 'before' }, at(2))
    const all = [
      first,
      said,
      sign(ann, 'silence', { user: 'bob', minutes: 10, reason: 'r' }, at(3)),
      sign(bob, 'text', { text: 'while' }, at(4)),
      sign(bob, 'edit', { of: of(said), text: 'changed while' }, at(5)),
      sign(bob, 'react', { of: of(first), with: '👎' }, at(6)),
      sign(bob, 'pin', { of: of(first), isPinned: true }, at(7)),
      sign(ann, 'poll', { options: [1] }, at(8)),
      sign(bob, 'text', { text: 'after' }, at(13)),
      sign(ann, 'text', { text: 'on' }, at(14))
    ]
    function shown(given: readonly Read[], name: string) {
      const db = openDatabase(join(folder, name), MIGRATIONS)
      ended.defer(() => db.close())
      const store = openDeviceStore(db, Date.now, () => undefined)
      store.addGeneration(generation)
      const school = { known: () => roster, roster } as never
      const notes = createNotes(store, school, admin.id, NO_QUIET, () => at(20))
      const intake = createIntake({ store, roster: () => roster, self: admin.id })
      const refused: string[] = []
      for (const each of given) intake.take(grp, [each], ({ message }) => refused.push(message))
      const lines = createView(store, school, admin.id, () => 0, notes, { hasGone: () => false })
        .page(grp, 50)
        .toReversed()
      return {
        refused,
        pins: notes.pins(grp).length,
        reactions: lines.flatMap(line => line.reactions ?? []),
        lines: lines.flatMap(({ kind, text, isHidden }) =>
          kind === 'members' ? [] : [isHidden ? 'hidden' : (text ?? kind)]
        )
      }
    }
    const expected = {
      refused: [],
      pins: 0,
      reactions: [],
      lines: ['hello', 'before', 'silence', 'hidden', 'unknown', 'after', 'on']
    }
    deepEqual(shown(all, 'in-order'), expected)
    // in whichever order it comes
    const byAuthor = [...chains.get(bob)!, ...chains.get(ann)!]
    deepEqual(shown(byAuthor, 'by-author'), expected)
    const wrong = sign(bob, 'silence', { user: 'ann', minutes: 10, reason: 'r' }, at(15))
    deepEqual(shown([...all, wrong], 'silencing').refused, ['bob may not silence ann'])
  })
})

describe('messenger: pins, names, silences, reports, announcements', function () {
  this.timeout(600_000)

  const lineOf = async (node: Node, group: string, message: string) =>
    (await node.call('messages', { group })).items.find((each: any) => each.id === message)
  const chatOf = async (node: Node, group: string) =>
    (await node.call('groups')).items.find((each: any) => each.id === group)
  const pinsOf = async (node: Node, group: string): Promise<string[]> =>
    (await node.call('pins', { group })).items.map((each: any) => each.line.id)

  it('are the same at every member, whatever a changed program says', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    await until('ann knows bob', async () =>
      (await ann.call('users')).items.some((each: any) => each.id === 'bob')
    )
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7B', users: ['bob', 'admin'] })
    await until('bob is in the chat', () => has(bob, group))
    await until('the admin is in the chat', () => has(school.desk, group))

    const { id: first } = await ann.call('send', { group, text: 'Meet at nine, @bob' })
    await until('bob is named', async () => (await chatOf(bob, group)).mentions === 1)
    equal((await lineOf(bob, group, first)).namesYou, true)
    equal((await lineOf(ann, group, first)).namesYou, undefined)
    await bob.call('mute', { group })
    await until('it is muted', async () => (await chatOf(bob, group)).isMuted)
    equal((await bob.call('groups')).items.length, 1, 'his settings are no chat')
    equal((await chatOf(ann, group)).isMuted, false)
    await bob.call('markRead', { group, at: (await lineOf(bob, group, first)).at })
    equal((await chatOf(bob, group)).mentions, 0)
    await bob.call('unmute', { group })
    equal((await chatOf(bob, group)).isMuted, false)

    await rejects(bob.call('pin', { message: first }), { name: 'PolicyError' })
    await ann.call('pin', { message: first })
    await until('bob sees what is pinned', async () => (await pinsOf(bob, group)).includes(first))
    await ann.call('unpin', { message: first })
    await until('it is unpinned', async () => (await pinsOf(bob, group)).length === 0)

    // an admin's client may announce; it is there once under its key
    const announced = await ann.call('announce', { text: 'No school tomorrow', key: 'one' })
    deepEqual(
      [announced.sent.map((each: any) => each.chat), announced.without, announced.failed],
      [[group], [], []]
    )
    deepEqual(await ann.call('announce', { text: 'No school tomorrow', key: 'one' }), announced)
    await until('bob reads it', async () => (await textsOf(bob, group)).includes('No school tomorrow'))
    await rejects(bob.call('announce', { text: 'party' }), { name: 'PolicyError' })
    await rejects(ann.call('announce', { text: 'x', classes: ['9z'] }), { name: 'UnknownChatError' })

    const { id: rude } = await bob.call('send', { group, text: 'you are all wrong' })
    await until('ann reads it', async () => (await lineOf(ann, group, rude)) != null)
    await rejects(bob.call('silence', { group, user: 'ann', reason: 'x' }), { name: 'PolicyError' })
    await ann.call('silence', { group, user: 'bob', minutes: 30, reason: 'be polite' })
    await until('bob knows', async () => (await chatOf(bob, group)).silence?.reason === 'be polite')
    await rejects(bob.call('send', { group, text: 'but' }), (error: Error) => {
      match(error.message, /silenced .* until .*be polite/)
      return error.name === 'PolicyError'
    })
    const told = (await bob.call('messages', { group })).items[0]
    equal(told.kind, 'silence')
    deepEqual([told.silenced.of.id, told.silenced.isLifted], ['bob', false])
    ok(told.silenced.until > told.at)
    await rejects(ann.call('delete', { message: told.id }), { name: 'PolicyError' })
    await ann.call('lift', { group, user: 'bob' })
    await until('he may speak', async () => (await chatOf(bob, group)).silence == null)
    await say(bob, group, 'sorry')

    const { chat } = await whenKnown(bob, 'report', { message: first, reason: 'too early' })
    await until('the admin has it', async () => (await school.desk.call('reports')).items.length === 1)
    const [report] = (await school.desk.call('reports')).items
    deepEqual([report.isDone, report.by.id, report.chat], [false, 'bob', chat])
    await rejects(bob.call('closeReport', { message: report.id, note: 'x' }), { name: 'PolicyError' })
    await school.desk.call('closeReport', { message: report.id, note: 'it stays at nine' })
    await until('bob sees that it is done', async () => (await bob.call('reports')).items[0].isDone)
    deepEqual((await lineOf(bob, chat, report.id)).done.note, 'it stays at nine')
  })
})
