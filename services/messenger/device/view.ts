import { setImmediate as nextTurn } from 'node:timers/promises'
import { toHex } from '../core/codec.ts'
import { REPORTS_TITLE } from '../core/constants.ts'
import type { Event } from '../core/event.ts'
import type { Generation } from '../core/generation.ts'
import { silencedUntil } from '../core/moderation.ts'
import { compareEvents } from '../core/order.ts'
import type { School } from '../school/school.ts'
import { editOf } from './edits.ts'
import type { Leaving } from './leaving.ts'
import type { Hidden, Notes } from './notes.ts'
import type { DeviceStore } from './store.ts'
import { queryOf } from './words.ts'

export interface Person {
  id: string
  name: string
}
/** Of a message whose author asks to confirm that it was read; who did is for him, and for who is no pupil. */
export interface Confirm {
  isDone: boolean
  by?: string[]
  missing?: string[]
}
export interface Line {
  id: string
  at: number
  by: Person
  /** unknown: of a newer program */
  kind: 'text' | 'file' | 'members' | 'silence' | 'leave' | 'unknown'
  text?: string
  file?: { name: string; size: number }
  reply?: string
  isEdited?: boolean
  isDeleted?: boolean
  isHidden?: boolean
  /** of what is hidden as it was said in quiet hours: their end; else who wrote it was silenced then */
  hiddenUntil?: number
  namesYou?: boolean
  silenced?: { of: Person; until: number; reason: string; isLifted: boolean }
  /** of a report */
  done?: { by: Person; note: string }
  reactions?: { with: string; by: string[] }[]
  /** of own ones: on this disk, at a mailbox, on the device of another, read */
  mark?: 'saved' | 'kept' | 'delivered' | 'read'
  readBy?: string[]
  confirm?: Confirm
  joined?: string[]
  left?: string[]
  /** further devices of people who have one: whose, and what they are called */
  devices?: { of: string; name: string }[]
}
/** Something that was reported, and whether it is done. */
export interface Report {
  id: string
  chat: string
  at: number
  by: Person
  text: string
  isDone: boolean
  note?: string
  doneBy?: Person
  doneAt?: number
}
/** of a chat of reports; older ones are found in the chat */
const MAX_REPORTS = 500

export type View = ReturnType<typeof createView>

/** What people see of what is kept: edits in their places, what was deleted gone, everybody by name. */
export function createView(
  store: DeviceStore,
  school: School,
  self: string,
  readMs: (grp: string) => number,
  notes: Notes,
  leaving: Pick<Leaving, 'hasGone'>
) {
  const nameOf = (id: string): string => school.known().user(id)?.name ?? id
  const userOf = (device: string): string | undefined => school.known().device(device)?.user
  const person = (id: string): Person => ({ id, name: nameOf(id) })
  const personOf = (device: string): Person => person(userOf(device) ?? device)
  const isReports = (grp: string): boolean => store.generations(grp).at(-1)?.title === REPORTS_TITLE

  /** How far an own event got with the others. */
  function reach(grp: string, event: Event): Pick<Line, 'mark' | 'readBy'> {
    const own = personOf(self).id
    const others = store.marks(grp).filter(({ device }) => personOf(device).id !== own)
    const has = others.filter(({ have }) => (have.get(event.device) ?? -1) >= event.seq)
    const readBy = [
      ...new Set(has.filter(each => each.readMs >= event.timeMs).map(each => personOf(each.device).name))
    ]
    return { mark: readBy.length > 0 ? 'read' : has.length > 0 ? 'delivered' : 'saved', readBy }
  }

  function confirmOf(grp: string, author: string, about: readonly Event[]): Confirm {
    const own = personOf(self).id
    const done = new Set(
      about.filter(({ kind }) => kind === 'confirm').map(({ device }) => personOf(device).id)
    )
    const asked = (store.generations(grp).at(-1)?.users ?? []).filter(user => user !== author)
    const isTold = own === author || school.known().person(self)?.role !== 'pupil'
    const names = (isDone: boolean): string[] => asked.filter(user => done.has(user) === isDone).map(nameOf)
    return { isDone: done.has(own), ...(isTold ? { by: names(true), missing: names(false) } : {}) }
  }

  /** What has a line in the chat and is neither text nor file. */
  function otherOf(id: string, { device, timeMs, kind, body }: Event): Line {
    const line = { id, at: timeMs, by: personOf(device) }
    if (kind === 'leave') return { ...line, kind }
    if (kind !== 'silence') return { ...line, kind: 'unknown' }
    const { user, minutes, reason } = body
    const until = silencedUntil({ timeMs, body })
    return { ...line, kind, silenced: { of: person(user), until, reason, isLifted: minutes === 0 } }
  }

  /** Of a report: who has closed it first. */
  function doneOf(grp: string, about: readonly Event[]): Pick<Line, 'done'> {
    const closed = isReports(grp) ? about.find(each => each.kind === 'close') : undefined
    return closed == null ? {} : { done: { by: personOf(closed.device), note: closed.body.note } }
  }

  function lineOf(
    id: string,
    grp: string,
    event: Event,
    kept: 'saved' | 'kept',
    hiddenAs: (event: Event) => Hidden | undefined
  ): Line {
    if (event.kind !== 'text' && event.kind !== 'file') return otherOf(id, event)
    const by = personOf(event.device)
    const hidden = hiddenAs(event)
    if (hidden != null) {
      const until = hidden === 'quiet' ? notes.quiet()?.until : undefined
      const line: Line = { id, at: event.timeMs, by, kind: event.kind, isHidden: true }
      return until == null ? line : { ...line, hiddenUntil: until }
    }
    const isOwn = personOf(self).id === by.id
    const about = store.about(id).filter(each => hiddenAs(each) == null)
    const edit = editOf(event, about, device => personOf(device).id)
    const reactions = new Map<string, Map<string, string>>()
    for (const each of about) {
      if (each.kind !== 'react') continue
      const who = personOf(each.device)
      for (const people of reactions.values()) people.delete(who.id)
      if (each.body.with === '') continue
      reactions.set(each.body.with, (reactions.get(each.body.with) ?? new Map()).set(who.id, who.name))
    }
    const shown = [...reactions]
      .filter(([, people]) => people.size > 0)
      .map(([sign, people]) => ({ with: sign, by: [...people.values()] }))
    const reached = isOwn ? reach(grp, event) : {}
    return {
      id,
      at: event.timeMs,
      by,
      kind: event.kind,
      ...(event.kind === 'text' ? { text: edit?.body.text ?? event.body.text } : {}),
      ...(event.kind === 'text' && !isOwn && notes.names(edit?.body.text ?? event.body.text)
        ? { namesYou: true }
        : {}),
      ...doneOf(grp, about),
      ...(event.kind === 'text' && event.body.reply != null ? { reply: toHex(event.body.reply) } : {}),
      ...(event.kind === 'file' ? { file: { name: event.body.name, size: event.body.size } } : {}),
      ...(edit == null ? {} : { isEdited: true }),
      ...(event.kind === 'text' && event.body.confirm === true
        ? { confirm: confirmOf(grp, by.id, about) }
        : {}),
      ...(shown.length === 0 ? {} : { reactions: shown }),
      ...reached,
      ...(isOwn && reached.mark === 'saved' ? { mark: kept } : {})
    }
  }

  /** Who is silenced in a chat, and why this person is, if he is. */
  function silencesOf(grp: string, users: readonly string[]) {
    const silencing = notes.silencing(grp)
    const own = silencing(personOf(self).id)
    return {
      silenced: users.filter(user => silencing(user) != null),
      ...(own == null
        ? {}
        : { silence: { until: silencedUntil(own), reason: own.body.reason, by: personOf(own.device) } })
    }
  }

  /** Who has one speaks by another from now on: whoever let it in, the others see it. */
  function furtherDevices(
    { devices }: Generation,
    before: readonly Generation[]
  ): NonNullable<Line['devices']> {
    const isNew = (device: string): boolean => before.at(-1)?.devices.includes(device) === false
    return devices.filter(isNew).flatMap(device => {
      const { user, name } = school.known().device(device) ?? {}
      const isFurther = before.some(each => each.devices.some(other => userOf(other) === user))
      return user == null || !isFurther ? [] : [{ of: nameOf(user), name: name! }]
    })
  }

  /** Who came and went, and with which devices, as lines. */
  function memberLines(grp: string): Line[] {
    const generations = store.generations(grp)
    return generations.flatMap((each, i) => {
      const before = i === 0 ? [] : generations[i - 1]!.users
      const joined = each.users.filter(user => !before.includes(user))
      const left = before.filter(user => !each.users.includes(user))
      const devices = furtherDevices(each, generations.slice(0, i))
      if (joined.length + left.length + devices.length === 0) return []
      const line: Line = {
        id: toHex(each.hash),
        at: each.timeMs,
        by: personOf(each.by),
        kind: 'members',
        joined: joined.map(nameOf),
        left: left.map(nameOf),
        ...(devices.length === 0 ? {} : { devices })
      }
      return [line]
    })
  }

  function titleOf({ title, users }: { title: string; users: readonly string[] }): string {
    if (title !== '') return title
    const own = personOf(self).id
    return (
      users
        .filter(user => user !== own)
        .map(nameOf)
        .join(', ') || nameOf(own)
    )
  }

  return {
    /** The chats of this device, the one with the newest message first. */
    chats() {
      const muted = notes.muted()
      return store
        .groups()
        .filter(grp => !notes.isSettings(grp))
        .map(grp => {
          const generations = store.generations(grp)
          const all = store.unread(grp, readMs(grp), self)
          const unread = all === 0 ? 0 : Math.max(0, all - notes.held(grp, readMs(grp)))
          const newest = generations.at(-1)!
          return {
            id: grp,
            title: titleOf(newest),
            people: newest.users.map(id => ({ id, name: nameOf(id) })),
            generation: newest.g,
            isIn: newest.state != null && newest.devices.includes(self) && !leaving.hasGone(grp),
            waiting: store.waitingCount(grp),
            unread,
            mentions: unread === 0 ? 0 : notes.mentions(grp, readMs(grp)),
            isMuted: muted.has(grp),
            ...silencesOf(grp, newest.users),
            at: store.newestMs(grp) ?? newest.timeMs
          }
        })
        .sort((a, b) => b.at - a.at)
    },

    /** A page of a chat, the newest first; `before` is the last line of the page before. */
    page(grp: string, limit: number, before?: { at: number; id: string }): Line[] {
      const end = before ?? { at: Number.MAX_SAFE_INTEGER, id: '' }
      const rows = store.page(grp, { timeMs: end.at, id: end.id }, limit)
      const oldest = rows.length < limit ? 0 : rows.at(-1)!.timeMs
      const hidden = notes.hiddenIn(grp)
      const lines: Line[] = rows.map(row => {
        const found = row.bytes == null ? undefined : store.event(row.id)
        if (found != null) return lineOf(row.id, grp, found.event, row.mark, hidden)
        return { id: row.id, at: row.timeMs, by: personOf(row.device), kind: 'text', isDeleted: true }
      })
      const isBefore = (line: Line): boolean =>
        compareEvents({ timeMs: line.at, id: line.id }, { timeMs: end.at, id: end.id }) < 0
      const members = memberLines(grp).filter(line => line.at >= oldest && isBefore(line))
      return [...lines, ...members].sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1))
    },

    /** Messages with all of these words, in any of their forms, in every chat that is here. */
    async search(text: string, limit: number): Promise<{ chat: string; line: Line }[]> {
      const query = queryOf(text)
      if (query == null) return []
      // others have their turn in between
      while (store.indexNew()) await nextTurn()
      return store.find(query, limit).flatMap(({ id, grp }) => {
        const found = store.event(id)
        if (found == null) return []
        const line = lineOf(id, grp, found.event, found.mark, notes.hiddenIn(grp))
        return line.isHidden ? [] : [{ chat: grp, line }]
      })
    },

    /** What is pinned in a chat, the newest first. */
    pins(grp: string): { line: Line; by: Person; at: number }[] {
      const hidden = notes.hiddenIn(grp)
      return notes.pins(grp).flatMap(({ id, event: pin }) => {
        const found = store.event(id)
        if (found == null) return []
        const line = lineOf(id, grp, found.event, found.mark, hidden)
        return line.isHidden ? [] : [{ line, by: personOf(pin.device), at: pin.timeMs }]
      })
    },

    /** Messages of a chat of reports that report something, and how they stand. */
    reports(grp: string): Report[] {
      if (!isReports(grp)) return []
      return store
        .page(grp, { timeMs: Number.MAX_SAFE_INTEGER, id: '' }, MAX_REPORTS)
        .flatMap(({ id }): Report[] => {
          const event = store.event(id)?.event
          if (event?.kind !== 'text' || !event.body.text.startsWith(REPORTS_TITLE)) return []
          const closed = store.about(id).find(each => each.kind === 'close')
          const text = event.body.text.slice(REPORTS_TITLE.length).trim()
          const report = { id, chat: grp, at: event.timeMs, by: personOf(event.device), text }
          if (closed == null) return [{ ...report, isDone: false }]
          const { device, timeMs, body } = closed
          return [{ ...report, isDone: true, note: body.note, doneBy: personOf(device), doneAt: timeMs }]
        })
    },

    /** The chat of this person with himself that holds his settings, if this device is in one. */
    ownSettings: (): string | undefined =>
      store.groups().find(grp => {
        const newest = store.generations(grp).at(-1)
        return notes.isSettings(grp) && newest?.state != null && newest.devices.includes(self)
      }),

    /** Everything of a chat that is here in its order: for comparing what members have. */
    order: (grp: string): string[] => store.inOrder(grp).map(({ id }) => id)
  }
}
