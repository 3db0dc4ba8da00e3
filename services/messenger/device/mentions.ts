import type { Chats, Mention } from '../contract.ts'
import { toHex } from '../core/codec.ts'
import type { School } from '../school/school.ts'
import { withoutMention } from './named.ts'
import { type Notes, readWhole } from './notes.ts'
import type { DeviceStore } from './store.ts'

/** Messages that are looked at together. */
const AT_ONCE = 500

/** Messages that name the person of this device, for other services of the node. Nothing else is given to them. */
export function createMentions(
  store: DeviceStore,
  school: School,
  self: string,
  notes: Pick<Notes, 'hiddenIn'>
): Pick<Chats, 'mentions' | 'hasReplied'> {
  const read = (id: string): ReturnType<DeviceStore['event']> => readWhole(store, id)

  return {
    mentions(after, sinceMs) {
      const { roster } = school
      const me = roster?.person(self)
      if (roster == null || me == null) return { items: [], next: after }
      const rows = store.saidAfter(after || store.placeBefore(sinceMs), self, AT_ONCE)
      const items = rows.flatMap(({ n, id }): Mention[] => {
        const found = read(id)
        if (found?.event.kind !== 'text' || found.event.timeMs < sinceMs) return []
        const { grp, event } = found
        const by = roster.person(event.device)
        // two devices of one person would answer each other for ever
        if (by == null || by.id === me.id) return []
        const text = withoutMention(event.body.text, [me.id, me.name])
        if (text == null || notes.hiddenIn(grp)(event) != null) return []
        const { id: user, name } = by
        const at = event.timeMs
        return [{ place: n, id, chat: grp, at, by: { id: user, name }, text }]
      })
      return { items, next: rows.at(-1)?.n ?? after }
    },

    hasReplied: ({ id, chat, at }) =>
      store.saidBy(chat, self, at).some(row => {
        const event = read(row.id)?.event
        return event?.kind === 'text' && event.body.reply != null && toHex(event.body.reply) === id
      })
  }
}
