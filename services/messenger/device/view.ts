import { setImmediate as nextTurn } from 'node:timers/promises'
import { toHex } from '../core/codec.ts'
import type { Event } from '../core/event.ts'
import type { Generation } from '../core/generation.ts'
import { compareEvents } from '../core/order.ts'
import type { School } from '../school/school.ts'
import { editOf } from './edits.ts'
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
  kind: 'text' | 'file' | 'members'
  text?: string
  file?: { name: string; size: number }
  reply?: string
  isEdited?: boolean
  isDeleted?: boolean
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
export type View = ReturnType<typeof createView>

/** What people see of what is kept: edits in their places, what was deleted gone, everybody by name. */
export function createView(
  store: DeviceStore,
  school: School,
  self: string,
  readMs: (grp: string) => number
) {
  const nameOf = (id: string): string => school.known().user(id)?.name ?? id
  const userOf = (device: string): string | undefined => school.known().device(device)?.user
  function personOf(device: string): Person {
    const id = userOf(device) ?? device
    return { id, name: nameOf(id) }
  }

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

  function lineOf(id: string, grp: string, event: Event, kept: 'saved' | 'kept'): Line {
    const by = personOf(event.device)
    const isOwn = personOf(self).id === by.id
    const about = store.about(id)
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
      kind: event.kind === 'file' ? 'file' : 'text',
      ...(event.kind === 'text' ? { text: edit?.body.text ?? event.body.text } : {}),
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
    chats: () =>
      store
        .groups()
        .map(grp => {
          const generations = store.generations(grp)
          const newest = generations.at(-1)!
          return {
            id: grp,
            title: titleOf(newest),
            people: newest.users.map(id => ({ id, name: nameOf(id) })),
            generation: newest.g,
            isIn: newest.state != null && newest.devices.includes(self),
            waiting: store.waitingCount(grp),
            unread: store.unread(grp, readMs(grp), self),
            at: store.newestMs(grp) ?? newest.timeMs
          }
        })
        .sort((a, b) => b.at - a.at),

    /** A page of a chat, the newest first; `before` is the last line of the page before. */
    page(grp: string, limit: number, before?: { at: number; id: string }): Line[] {
      const end = before ?? { at: Number.MAX_SAFE_INTEGER, id: '' }
      const rows = store.page(grp, { timeMs: end.at, id: end.id }, limit)
      const oldest = rows.length < limit ? 0 : rows.at(-1)!.timeMs
      const lines: Line[] = rows.map(row => {
        const found = row.bytes == null ? undefined : store.event(row.id)
        if (found != null) return lineOf(row.id, grp, found.event, row.mark)
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
        return found == null ? [] : [{ chat: grp, line: lineOf(id, grp, found.event, found.mark) }]
      })
    },

    /** Everything of a chat that is here in its order: for comparing what members have. */
    order: (grp: string): string[] => store.inOrder(grp).map(({ id }) => id)
  }
}
