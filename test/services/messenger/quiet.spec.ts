import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../../services/host/index.ts'
import { hashOf, NO_HASH, toHex } from '../../../services/messenger/core/codec.ts'
import { type Event, type Read, readSigned, signEvent } from '../../../services/messenger/core/event.ts'
import { readGeneration, signGeneration } from '../../../services/messenger/core/generation.ts'
import { quietAt } from '../../../services/messenger/core/quiet.ts'
import { FIRST_POLICY } from '../../../services/messenger/core/statement.ts'
import { createIntake } from '../../../services/messenger/device/intake.ts'
import { createNotes } from '../../../services/messenger/device/notes.ts'
import { createQuiet } from '../../../services/messenger/device/quiet.ts'
import { openDeviceStore } from '../../../services/messenger/device/store.ts'
import { createView } from '../../../services/messenger/device/view.ts'
import { MIGRATIONS } from '../../../services/messenger/store/schema.ts'
import { foundSchool, type Key } from './devices.ts'
import { has, openSchool, say, textsOf, until, whenKnown } from './school.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const NIGHT = '1-7 21:00-07:00 UTC'
const at = (text: string): number => Date.parse(text)

describe('messenger: quiet hours', () => {
  it('begin and end by the clocks of their zone, also over midnight and where clocks are set', () => {
    const period = (hours: string[], moment: string) => {
      const found = quietAt({ ...FIRST_POLICY, quietHours: hours }, at(moment))
      return found && [found.from, found.until].map(each => new Date(each).toISOString().slice(5, 16))
    }
    const night = ['1-7 21:00-07:00 Europe/Moscow']
    deepEqual(period(night, '2026-09-01T20:30:40Z'), ['09-01T18:00', '09-02T04:00'])
    deepEqual(period(night, '2026-09-02T03:59:59Z'), ['09-01T18:00', '09-02T04:00'])
    equal(period(night, '2026-09-02T04:00:00Z'), undefined)
    // an hour is there twice in that night
    deepEqual(period(['1-7 21:00-07:00 Europe/Berlin'], '2026-10-25T00:30:00Z'), [
      '10-24T19:00',
      '10-25T06:00'
    ])
    // hours that follow each other are one
    deepEqual(
      period(['5 20:00-24:00 UTC', '6-7 00:00-24:00 UTC', '1 00:00-06:00 UTC'], '2026-09-05T12:00:00Z'),
      ['09-04T20:00', '09-07T06:00']
    )
    // of a zone that only newer nodes know there are none, nor of no hours
    equal(period(['1-7 21:00-07:00 Moon/Base'], '2026-09-01T23:00:00Z'), undefined)
    equal(period([], '2026-09-01T23:00:00Z'), undefined)
  })

  it('a changed client is read when they end, whenever it says it wrote; logs are the same', async () => {
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-quiet-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const { roster, admin, add } = await foundSchool({ quietHours: [NIGHT], editMinutes: 600 })
    const [ann, bob] = [await add('ann', 'teacher'), await add('bob', 'pupil')]
    const eve = await add('eve', 'pupil')
    const day = at('2026-09-03T12:00:00Z')
    const generation = signGeneration(ann.signer, {
      ...{ group: NO_HASH, g: 0, prev: NO_HASH, by: ann.id, roster: roster.head, timeMs: day },
      ...{ title: 'chat', history: 'all', users: ['admin', 'ann', 'bob', 'eve'], heads: [] },
      devices: [admin.id, ann.id, bob.id, eve.id]
    })
    const { group } = readGeneration(generation)
    const grp = toHex(group)
    const chains = new Map<Key, Read[]>()
    function sign(by: Key, kind: string, body: object, time: string): Read {
      const chain = chains.get(by) ?? []
      chains.set(by, chain)
      const prev = chain.length === 0 ? NO_HASH : hashOf(chain.at(-1)!.bytes)
      const place = { group, device: by.id, seq: chain.length, prev, after: [], roster: roster.head }
      chain.push(readSigned(signEvent(by.signer, { ...place, timeMs: at(time), kind, body } as Event)))
      return chain.at(-1)!
    }
    const text = (by: Key, said: string, time: string): Read => sign(by, 'text', { text: said }, time)
    const early = text(bob, 'early', '2026-09-03T20:00:00Z')
    // each with when it comes
    const given: [string, Read][] = [
      ['2026-09-03T20:00:05Z', early],
      ['2026-09-03T21:03:00Z', text(bob, 'on its way', '2026-09-03T20:59:00Z')],
      ['2026-09-03T22:00:00Z', text(ann, 'of a teacher', '2026-09-03T22:00:00Z')],
      ['2026-09-03T22:01:00Z', text(bob, 'dated back', '2026-09-03T20:59:30Z')],
      ['2026-09-03T22:02:00Z', text(bob, 'in the night', '2026-09-03T22:02:00Z')],
      [
        '2026-09-03T22:03:00Z',
        sign(bob, 'edit', { of: hashOf(early.bytes), text: 'changed' }, '2026-09-03T22:03:00Z')
      ],
      ['2026-09-03T22:04:00Z', text(bob, 'dated ahead', '2026-09-04T08:00:00Z')]
    ]
    let nowMs = day
    function device(viewer: Key, name: string, cameOn = day) {
      nowMs = cameOn
      const db = openDatabase(join(folder, name), MIGRATIONS)
      ended.defer(() => db.close())
      const store = openDeviceStore(
        db,
        () => nowMs,
        () => undefined
      )
      store.addGeneration(generation)
      const school = { known: () => roster, roster } as never
      const intake = createIntake({ store, roster: () => roster, self: viewer.id })
      const start = () => createQuiet(db, store, school, viewer.id, () => nowMs)
      let quiet = start()
      return {
        hear(reads: readonly Read[]): void {
          for (const read of reads)
            quiet.hear(
              grp,
              intake.take(grp, [read], error => {
                throw error
              })
            )
        },
        look: () => quiet.look(false),
        restart(): void {
          quiet = start()
        },
        shown() {
          const notes = createNotes(store, school, viewer.id, quiet, () => nowMs)
          const view = createView(store, school, viewer.id, () => 0, notes, { hasGone: () => false })
          const lines = view.page(grp, 50).toReversed()
          return {
            unread: view.chats()[0]!.unread,
            until: [...new Set(lines.flatMap(line => line.hiddenUntil ?? []))],
            texts: lines.flatMap(({ kind, isHidden, text: said }) =>
              kind === 'members' ? [] : [isHidden ? '-' : said]
            )
          }
        },
        order: () => store.inOrder(grp).map(({ id }) => id)
      }
    }
    function listen(viewer: Key, name: string) {
      const made = device(viewer, name)
      for (const [time, read] of given) {
        // it hears all the while
        for (; nowMs < at(time); nowMs = Math.min(at(time), nowMs + 30_000)) made.look()
        made.hear([read])
      }
      return made
    }
    const all = ['early', 'on its way', 'dated back', 'of a teacher', 'in the night', 'dated ahead']
    const teacher = listen(ann, 'teacher')
    deepEqual(teacher.shown().texts, ['changed', ...all.slice(1)], 'who has no such hours reads all')

    const pupil = listen(eve, 'pupil')
    const held = ['early', 'on its way', '-', 'of a teacher', '-', '-']
    deepEqual(pupil.shown(), { unread: 3, until: [at('2026-09-04T07:00:00Z')], texts: held })
    pupil.restart()
    deepEqual(pupil.shown().texts, held, 'also after a restart')
    deepEqual(pupil.order(), teacher.order())
    nowMs = at('2026-09-04T07:00:00Z')
    deepEqual(pupil.shown(), { unread: 6, until: [], texts: ['changed', ...all.slice(1)] })

    // whoever was away hears in the night what was said in the day
    const away = device(eve, 'away', at('2026-09-03T22:30:00Z'))
    away.hear(given.map(([, read]) => read))
    deepEqual(away.shown().texts, ['early', 'on its way', 'dated back', 'of a teacher', '-', '-'])
    // his own is before him
    const own = listen(bob, 'own')
    deepEqual(own.shown().texts, ['changed', ...all.slice(1)])
  })

  it('what is written in them goes when they end, once, also after a restart', async function () {
    this.timeout(600_000)
    let shiftMs = 0
    const now = (): number => Date.now() + shiftMs
    const goTo = (hour: number): void => {
      const midnight = Math.ceil(now() / (24 * HOUR_MS)) * 24 * HOUR_MS
      shiftMs += midnight + hour * HOUR_MS - now()
    }
    goTo(20)
    await using school = await openSchool({ now })
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-quiet-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const { desk } = school
    await rejects(desk.call('setPolicy', { quietHours: ['1-7 21:00-07:00 Moon/Base'] }), {
      name: 'RequestError'
    })
    await desk.call('setPolicy', { quietHours: [NIGHT], pupilsToPupils: true })
    const bob = await school.join('bob', 'pupil', { folder })
    const eve = await school.join('eve', 'pupil')
    const { id: group } = await whenKnown(desk, 'createGroup', { title: '7B', users: ['bob', 'eve'] })
    for (const node of [bob, eve]) await until('they are in the chat', () => has(node, group))
    await say(bob, group, 'by day')
    equal((await bob.call('status')).quiet, undefined)
    deepEqual(Object.keys(await bob.call('sendLater', { group, text: 'at once' })), ['id'])

    shiftMs += 3 * HOUR_MS
    const { quiet } = await bob.call('status')
    equal(quiet.until - quiet.from, 10 * HOUR_MS)
    equal((await desk.call('status')).quiet, undefined, 'admins have none unless told')
    await rejects(bob.call('send', { group, text: 'psst' }), (error: Error) => {
      match(error.message, /quiet hours, until .*07:00/)
      return error.name === 'PolicyError'
    })
    const written = { group, text: 'good morning', key: 'one' }
    deepEqual(await bob.call('sendLater', written), { until: quiet.until })
    deepEqual(await bob.call('sendLater', written), { until: quiet.until })
    await bob.call('sendLater', { group, text: 'or not' })
    const [first, second] = (await bob.call('later')).items
    deepEqual([first.text, second.text, first.chat], ['good morning', 'or not', group])
    await bob.call('dropLater', { n: second.n })
    await rejects(bob.call('dropLater', { n: second.n }), { name: 'UnknownChatError' })
    // who needs help is heard, and who has no quiet hours as well
    await say(desk, group, 'of an admin')
    await until('eve reads it', async () => (await textsOf(eve, group)).includes('of an admin'))
    const { items } = await bob.call('messages', { group })
    ok(await whenKnown(bob, 'report', { message: items.at(-2).id, reason: 'help' }))

    const { identity } = bob
    await bob[Symbol.asyncDispose]()
    const again = await school.node({ folder, identity })
    deepEqual(
      (await again.call('later')).items.map((each: any) => each.text),
      ['good morning']
    )
    shiftMs += quiet.until - now() + MINUTE_MS
    await until('eve reads it', async () => (await textsOf(eve, group)).includes('good morning'))
    await until('nothing waits', async () => (await again.call('later')).items.length === 0)
    const { id } = await again.call('sendLater', written)
    deepEqual(await textsOf(again, group), ['by day', 'at once', 'of an admin', 'good morning'])
    equal((await again.call('messages', { group })).items[0].id, id, 'its key counts')
  })
})
