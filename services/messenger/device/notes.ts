import { LRUCache } from 'lru-cache'
import { toHex } from '../core/codec.ts'
import { MAX_PINS, SETTINGS_TITLE } from '../core/constants.ts'
import type { Event, EventOf } from '../core/event.ts'
import { isSpoken, mayPin, silenceAt } from '../core/moderation.ts'
import { MalformedMessageError } from '../errors.ts'
import type { School } from '../school/school.ts'
import { withoutMention } from './named.ts'
import type { Quiet } from './quiet.ts'
import type { DeviceStore } from './store.ts'

/** Unread messages of a chat that are looked at for the own name, the newest first; more are not counted. */
const MAX_UNREAD = 500
const KNOWN_TEXTS = 5_000

/** Why an event is not shown: who wrote it was silenced then, or these are quiet hours. */
export type Hidden = 'silence' | 'quiet'

export type Notes = ReturnType<typeof createNotes>

/** An event; undefined where it is not here, or damaged on the disk: `verify` tells of that. */
export function readWhole(store: DeviceStore, id: string): ReturnType<DeviceStore['event']> {
  try {
    return store.event(id)
  } catch (error) {
    if (error instanceof MalformedMessageError) return undefined
    throw error
  }
}

/** What stands in chats beside what is said there: pins, silences, and what this person has muted. */
export function createNotes(
  store: DeviceStore,
  school: School,
  self: string,
  quiet: Pick<Quiet, 'current' | 'heldIn'>,
  now: () => number
) {
  const ofKind = store.db.prepare(
    `SELECT id FROM event WHERE grp = ? AND kind IN ('pin', 'silence', 'mute') AND kind = ? AND bytes IS NOT NULL
     ORDER BY timeMs, id`
  )
  const unread = store.db.prepare(
    `SELECT id FROM event WHERE grp = ? AND timeMs > ? AND kind = 'text' AND device <> ? AND bytes IS NOT NULL
     ORDER BY timeMs DESC LIMIT ${MAX_UNREAD}`
  )
  const unreadLines = store.db.prepare(
    `SELECT id FROM event WHERE grp = ? AND timeMs > ? AND target IS NULL AND device <> ? AND bytes IS NOT NULL
     ORDER BY timeMs DESC LIMIT ${MAX_UNREAD}`
  )
  /** whether a text names this person, by its id and his names */
  const named = new LRUCache<string, boolean>({ max: KNOWN_TEXTS })

  function all<K extends 'pin' | 'silence' | 'mute'>(grp: string, kind: K): EventOf<K>[] {
    return (ofKind.all(grp, kind) as { id: string }[]).flatMap(({ id }) => {
      const event = readWhole(store, id)?.event
      return event?.kind === kind ? [event as EventOf<K>] : []
    })
  }
  const userOf = (device: string): string | undefined => school.known().device(device)?.user

  /** Why an event of a chat is not shown; undefined: it is. */
  function hiddenIn(grp: string): (event: Event) => Hidden | undefined {
    const silences = all(grp, 'silence')
    const isHeld = quiet.heldIn(grp)
    return event => {
      const isSilenced =
        silences.length > 0 &&
        isSpoken(event.kind) &&
        silenceAt(silences, userOf(event.device), event.timeMs) != null
      if (isSilenced) return 'silence'
      return isHeld(event) ? 'quiet' : undefined
    }
  }

  function names(text: string): boolean {
    const me = school.roster?.person(self)
    return me != null && text.includes('@') && withoutMention(text, [me.id, me.name]) != null
  }
  function isNamed(id: string, hidden: (event: Event) => Hidden | undefined): boolean {
    const me = school.roster?.person(self)
    const key = `${id} ${me?.name}`
    if (named.get(key) === false) return false
    const event = readWhole(store, id)?.event
    const is = event?.kind === 'text' && userOf(event.device) !== me?.id && names(event.body.text)
    named.set(key, is)
    // what is hidden now need not stay so
    return is && hidden(event) == null
  }

  /** Whether a chat holds the settings of this person and nothing that is said. */
  function isSettings(grp: string): boolean {
    const newest = store.generations(grp).at(-1)
    return newest?.title === SETTINGS_TITLE && newest.users.length === 1
  }

  return {
    names,
    isSettings,
    hiddenIn,
    /** The quiet hours of this person that are now. */
    quiet: quiet.current,

    /** What silences each person in a chat now. */
    silencing(grp: string): (user: string) => EventOf<'silence'> | undefined {
      const silences = all(grp, 'silence')
      const at = Math.max(now(), store.newestMs(grp) ?? 0)
      return user => silenceAt(silences, user, at)
    },

    /** Ids of what is pinned in a chat, the newest first, and the events that pinned it. */
    pins(grp: string): { id: string; event: EventOf<'pin'> }[] {
      const [generations, hidden] = [store.generations(grp), hiddenIn(grp)]
      const last = new Map<string, EventOf<'pin'>>()
      for (const event of all(grp, 'pin')) {
        if (!mayPin(event, generations, school.known()) || hidden(event) != null) continue
        const id = toHex(event.body.of)
        last.delete(id)
        last.set(id, event)
      }
      return [...last]
        .filter(([id, { body }]) => body.isPinned && readWhole(store, id)?.grp === grp)
        .slice(-MAX_PINS)
        .toReversed()
        .map(([id, event]) => ({ id, event }))
    },

    /** Chats that this person has muted, on whichever of his devices. */
    muted(): Set<string> {
      const last = store
        .groups()
        .filter(isSettings)
        .flatMap(grp => all(grp, 'mute'))
        .sort((a, b) => a.timeMs - b.timeMs)
      const muted = new Set<string>()
      for (const { body } of last) muted[body.isMuted ? 'add' : 'delete'](toHex(body.chat))
      return muted
    },

    /** Messages of others after a time that name this person. */
    mentions(grp: string, afterMs: number): number {
      const hidden = hiddenIn(grp)
      const rows = unread.all(grp, afterMs, self) as { id: string }[]
      return rows.filter(({ id }) => isNamed(id, hidden)).length
    },

    /** Lines of others after a time that wait for the end of quiet hours. */
    held(grp: string, afterMs: number): number {
      if (quiet.current() == null) return 0
      const isHeld = quiet.heldIn(grp)
      const rows = unreadLines.all(grp, afterMs, self) as { id: string }[]
      return rows.filter(({ id }) => {
        const event = readWhole(store, id)?.event
        return event != null && isHeld(event)
      }).length
    }
  }
}
