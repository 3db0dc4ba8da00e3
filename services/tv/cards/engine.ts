import type { Asker, CommandAnswer, Commands } from '../commands.ts'
import { type Condition, parseCondition } from '../condition.ts'
import type { Issued } from '../documents/documents.ts'
import type { Tv } from '../tv.ts'
import type { Trigger } from './card.ts'
import { FRESH, type Memory, step } from './trigger.ts'

export interface EngineInit {
  /** that count for a TV now */
  cards(tv: string): readonly Issued<'card'>[]
  commands: Pick<Commands, 'act'>
  now(): number
}

interface Watched {
  card: Issued<'card'>
  place: number
  trigger: Trigger
  isSo: Condition
}

/** What TVs do by themselves: triggers of cards, with the grants of who signed them. Asks no other node. */
export function createEngine({ cards, commands, now }: EngineInit) {
  /** by TV, then by card, version and place */
  const memories = new Map<string, Map<string, Memory>>()

  const watched = (tv: string): Watched[] =>
    cards(tv).flatMap(card =>
      card.triggers.map((trigger, place) => ({ card, place, trigger, isSo: parseCondition(trigger.when) }))
    )

  /** Those that act now. */
  function look(tv: Tv, isCaused: boolean): Watched[] {
    const { name } = tv.place
    const before = memories.get(name) ?? new Map<string, Memory>()
    const after = new Map<string, Memory>()
    const acting = watched(name).filter(({ card, place, trigger, isSo }) => {
      const key = `${card.issuer} ${card.name} ${card.version} ${place}`
      const { memory, acts } = step(trigger, isSo, before.get(key) ?? FRESH, tv.readings, now(), isCaused)
      after.set(key, memory)
      return acts
    })
    memories.set(name, after)
    return acting
  }

  async function act(tv: Tv, { card, trigger }: Watched, signal: AbortSignal): Promise<void> {
    const { issuer: peer, by } = card
    const account = by.slice(peer.length + 1)
    const asker: Asker = { peer, ...(account === '' ? {} : { account }) }
    const outcomes: CommandAnswer[] = []
    for (const { operation: name, args } of trigger.do)
      outcomes.push(await commands.act(tv.place.name, { name, args }, asker, signal))
    await tv.note('trigger', {
      card: card.name,
      version: card.version,
      issuer: card.issuer,
      when: trigger.when,
      did: trigger.do.map(({ operation }, i) => `${operation}: ${outcomes[i]!.is}`)
    })
  }

  return {
    /** Looks at the newest readings of a TV, and does what its cards say. */
    async look(tv: Tv, signal: AbortSignal): Promise<void> {
      const acting = look(tv, false)
      for (const each of acting) await act(tv, each, signal)
      if (acting.length === 0) return
      // what they have changed starts nothing
      if (tv.lamp === 'shell') await tv.look(signal).catch(() => undefined /* the next look says so */)
      look(tv, true)
    }
  }
}
