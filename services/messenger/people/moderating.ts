import type { Handlers } from '../../host/index.ts'
import { RequestError } from '../../host/index.ts'
import type { Person } from '../assemble-person.ts'
import { fromHex } from '../core/codec.ts'
import { MAX_PINS, REPORTS_TITLE, SETTINGS_TITLE } from '../core/constants.ts'
import { mayPin, maySilence } from '../core/moderation.ts'
import { PolicyError, SchoolError, UnknownChatError } from '../errors.ts'
import { writerOf } from './acting.ts'
import type { moderation } from './moderation-declared.ts'

type Done = Record<string, never>

const sameTitle = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase()

/** Pins, silences, muting, reports, and what is said to every class. */
export function createModeration(node: Person): Handlers<typeof moderation> {
  const { school, groups, chats, store, view, notes, self, now } = node
  const roster = school.known

  function me() {
    const person = roster().person(self)
    if (person == null) throw new SchoolError('this device does not count in the school any more')
    return person
  }
  function messageOf(id: string) {
    const found = store.event(id)
    if (found == null) throw new UnknownChatError(`there is no message ${id}`)
    return found
  }
  const here = () => ({ device: self, roster: roster().head })

  async function pin(message: string, isPinned: boolean): Promise<Done> {
    const { grp, event } = messageOf(message)
    if (event.kind !== 'text' && event.kind !== 'file')
      throw new RequestError('only messages and files are pinned')
    if (!mayPin({ ...here(), timeMs: now() }, store.generations(grp), roster()))
      throw new PolicyError('pupils pin nothing where more than two are')
    const pinned = notes.pins(grp)
    if (pinned.some(({ id }) => id === message) === isPinned) return {}
    if (isPinned && pinned.length >= MAX_PINS)
      throw new PolicyError(`a chat has at most ${MAX_PINS} pinned messages; unpin one first`)
    await chats.say(grp, 'pin', { of: fromHex(message), isPinned })
    return {}
  }

  async function silence(group: string, user: string, minutes: number, reason: string): Promise<Done> {
    const { newest } = groups.current(group)
    if (!newest.users.includes(user)) throw new UnknownChatError(`there is no ${user} in this chat`)
    const body = { user, minutes, reason }
    if (!maySilence({ ...here(), body }, roster()))
      throw new PolicyError('teachers silence pupils, and admins teachers and pupils')
    const isSilenced = notes.silencing(group)(user) != null
    if (minutes > 0 || isSilenced) await chats.say(group, 'silence', body)
    return {}
  }

  /** Where this person keeps his settings, with himself. */
  async function settings(): Promise<string> {
    const known = view.ownSettings()
    return known ?? groups.create([me().id], SETTINGS_TITLE, 'all')
  }

  async function mute(group: string, isMuted: boolean): Promise<Done> {
    groups.current(group)
    if (notes.muted().has(group) !== isMuted)
      await chats.say(await settings(), 'mute', { chat: fromHex(group), isMuted })
    return {}
  }

  const reports = () =>
    view
      .chats()
      .filter(({ title }) => title === REPORTS_TITLE)
      .flatMap(({ id }) => view.reports(id))
      .sort((a, b) => Number(a.isDone) - Number(b.isDone) || b.at - a.at)

  return {
    pin: ({ message }) => pin(message, true),
    unpin: ({ message }) => pin(message, false),
    pins({ group }) {
      groups.current(group)
      return { items: view.pins(group) }
    },
    silence: ({ group, user, minutes, reason }) => silence(group, user, minutes, reason),
    lift: ({ group, user }) => silence(group, user, 0, ''),
    mute: ({ group }) => mute(group, true),
    unmute: ({ group }) => mute(group, false),
    async announce({ text, classes, confirm, key }, { caller }) {
      if (me().role === 'pupil') throw new PolicyError('pupils announce nothing to the school')
      const known = [
        ...new Set(
          roster()
            .users()
            .flatMap(user => (user.isDisabled ? [] : user.classes))
        )
      ].sort()
      const unknown = classes.find(each => !known.some(name => sameTitle(name, each)))
      if (unknown != null) throw new UnknownChatError(`there is no class ${unknown} in this school`)
      const wanted = known.filter(name => classes.length === 0 || classes.some(each => sameTitle(name, each)))
      const there = view.chats().filter(({ isIn }) => isIn)
      const answer = {
        sent: [] as { class: string; chat: string; id: string }[],
        without: [] as string[],
        failed: [] as { class: string; chat: string; reason: string }[]
      }
      const body = { text, ...(confirm ? { confirm: true as const } : {}) }
      for (const name of wanted) {
        const found = there.filter(({ title }) => sameTitle(title, name))
        if (found.length === 0) answer.without.push(name)
        for (const { id: chat } of found) {
          try {
            const own = key == null ? undefined : `${writerOf(caller)} ${key} ${chat}`
            answer.sent.push({ class: name, chat, id: await chats.say(chat, 'text', body, own) })
          } catch (error) {
            // the others have it all the same
            answer.failed.push({ class: name, chat, reason: (error as Error).message })
          }
        }
      }
      return answer
    },
    reports: () => ({ items: reports() }),
    async closeReport({ message, note }) {
      const { grp } = messageOf(message)
      const report = view.reports(grp).find(({ id }) => id === message)
      if (report == null) throw new UnknownChatError(`there is no report ${message}`)
      if (me().role === 'pupil') throw new PolicyError('pupils close no reports')
      if (!report.isDone) await chats.say(grp, 'close', { of: fromHex(message), note })
      return {}
    }
  }
}
