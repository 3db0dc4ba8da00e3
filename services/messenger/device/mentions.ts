import type { Chats, Mention } from '../contract.ts'
import { MalformedMessageError } from '../errors.ts'
import type { School } from '../school/school.ts'
import type { DeviceStore } from './store.ts'

/** Messages that are looked at together. */
const AT_ONCE = 500

/** Messages that name the person of this device, for other services of the node. Nothing else is given to them. */
export function createMentions(store: DeviceStore, school: School, self: string): Pick<Chats, 'mentions'> {
  function read(id: string): ReturnType<DeviceStore['event']> {
    try {
      return store.event(id)
    } catch (error) {
      // damaged on the disk: `verify` tells of it
      if (error instanceof MalformedMessageError) return undefined
      throw error
    }
  }

  return {
    mentions(after) {
      const { roster } = school
      const me = roster?.person(self)
      if (roster == null || me == null) return { items: [], next: after }
      const rows = store.saidAfter(after, self, AT_ONCE)
      const items = rows.flatMap(({ n, id }): Mention[] => {
        const found = read(id)
        if (found?.event.kind !== 'text') return []
        const { grp, event } = found
        const by = roster.person(event.device)
        // two devices of one person would answer each other for ever
        if (by == null || by.id === me.id) return []
        const text = withoutMention(event.body.text, [me.id, me.name])
        const { id: user, name } = by
        return text == null ? [] : [{ place: n, chat: grp, at: event.timeMs, by: { id: user, name }, text }]
      })
      return { items, next: rows.at(-1)?.n ?? after }
    }
  }
}

/** What else a text says that names somebody as `@name`; undefined where it does not. Pure. */
export function withoutMention(text: string, names: readonly string[]): string | undefined {
  const any = names
    .toSorted((a, b) => b.length - a.length)
    .map(name => RegExp.escape(name))
    .join('|')
  // no address of e-mail, and no longer name
  const mention = new RegExp(
    String.raw`(?<![\p{L}\p{N}_.@])@(?:${any})(?![\p{L}\p{N}_@]|[.-][\p{L}\p{N}])[,:]?`,
    'giu'
  )
  return mention.test(text)
    ? text
        .replace(mention, ' ')
        .replace(/[^\S\n]+/g, ' ')
        .trim()
    : undefined
}
