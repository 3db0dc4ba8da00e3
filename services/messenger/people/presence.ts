import { fromHex } from '../core/codec.ts'
import type { DeviceStore } from '../device/store.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'

/** Whoever says nothing for so long has gone; a page says it every 30 s. */
export const HERE_MS = 75_000
export const TYPING_MS = 6_000
/** Of one device more is not heard. */
const STEP_MS = 250
/** A node that did not answer is not told again for so long. */
const SILENT_MS = 60_000
/** So many nodes are told. */
const MAX_TOLD = 100

export type Sign = 'here' | 'away' | 'typing'

export interface PresenceInit {
  /** own device */
  self: string
  store: Pick<DeviceStore, 'groups' | 'generations'>
  school: School
  network: Pick<Network, 'ask'>
  /** of the other members of a chat */
  nodesOf(grp: string): string[]
  now(): number
  signal: AbortSignal
  /** of one chat, or of whoever is here */
  changed(grp?: string): void
}

/** Who is here and who writes: told to members of the same chats while it is so, in memory only. */
export function createPresence(init: PresenceInit) {
  const { self, store, school, network, now, signal, changed } = init
  /** by person */
  const seen = new Map<string, { at: number; isHere: boolean }>()
  /** by chat, then by person: until when */
  const typing = new Map<string, Map<string, number>>()
  const heardAt = new Map<string, number>()
  const silentAt = new Map<string, number>()
  let hereUntil = 0

  const isAllowed = (): boolean => school.known().policy().presence === true
  const isHere = (): boolean => isAllowed() && now() < hereUntil
  const isIn = (grp: string, device: string): boolean =>
    store.generations(grp).at(-1)?.devices.includes(device) === true

  function note(user: string, is: boolean): void {
    const before = seen.get(user)
    seen.set(user, { at: now(), isHere: is })
    if (before?.isHere !== is || now() - before.at >= HERE_MS) changed()
  }

  async function tell(peer: string, is: Sign, grp?: string): Promise<void> {
    if (now() - (silentAt.get(peer) ?? 0) < SILENT_MS) return
    const request = {
      school: school.known().school,
      device: self,
      is,
      ...(grp == null ? {} : { group: fromHex(grp) })
    }
    try {
      const answer = await network.ask(peer, 'sign', request, { signal })
      silentAt.delete(peer)
      const there = school.known().devicesAt(peer)
      const here = answer.here ?? (answer.isHere ? there.slice(0, 1) : [])
      for (const device of here.filter(id => there.includes(id)))
        if (isAllowed()) note(school.known().person(device)!.id, true)
    } catch {
      // it hears it when it is here again
      silentAt.set(peer, now())
    }
  }

  return {
    /** What a member's node says. Whether the person here is here, for who is in a chat with him. */
    hear(device: string, is: Sign, grp?: string): boolean {
      const person = school.known().person(device)
      if (person == null || now() - (heardAt.get(device) ?? 0) < STEP_MS) return false
      heardAt.set(device, now())
      if (!store.groups().some(each => isIn(each, device))) return false
      if (is !== 'typing') {
        if (isAllowed()) note(person.id, is === 'here')
      } else if (grp != null && isIn(grp, device)) {
        const people = typing.get(grp) ?? new Map<string, number>()
        typing.set(grp, people.set(person.id, now() + TYPING_MS))
        changed(grp)
      }
      return isHere()
    },

    /** Tells those who may hear it, as far as they answer. */
    say(is: Sign, grp?: string): void {
      if (is !== 'typing') hereUntil = is === 'here' ? now() + HERE_MS : 0
      if (is !== 'typing' && !isAllowed()) return
      const chats = is === 'typing' ? [grp!] : store.groups()
      const peers = [...new Set(chats.flatMap(init.nodesOf))].slice(0, MAX_TOLD)
      for (const peer of peers) void tell(peer, is, is === 'typing' ? grp : undefined)
    },

    /** What he was writing is there. */
    spoke(grp: string, device: string): void {
      const user = device === self ? undefined : school.known().device(device)?.user
      if (user != null && typing.get(grp)?.delete(user) === true) changed(grp)
    },

    /** Of people of a chat; where the school lets nobody see who is here, of nobody. */
    of(grp: string, people: readonly { id: string; name: string }[]) {
      const writes = typing.get(grp)
      return {
        items: isAllowed()
          ? people.map(person => {
              const { at, isHere = false } = seen.get(person.id) ?? {}
              return {
                ...person,
                isHere: isHere && now() - at! < HERE_MS,
                ...(at == null ? {} : { seen: at })
              }
            })
          : [],
        typing: people.filter(({ id }) => (writes?.get(id) ?? 0) > now()).map(({ name }) => name)
      }
    }
  }
}
