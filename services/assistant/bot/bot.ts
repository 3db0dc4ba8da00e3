import { setTimeout as delay } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { AssistantError } from '../errors.ts'
import type { Place } from '../store/chats.ts'
import type { BotPort, Update } from './contract.ts'
import { showGrowing } from './reply.ts'

const LONG_POLL_MS = 25_000
/** between two looks while something is being answered: what is not handled yet comes with every look */
const BUSY_MS = 500
/** turns of a chat that are told to the model; kept in memory alone */
const TURNS = 10
const CHATS = 1000

export interface Turn {
  role: 'user' | 'assistant'
  content: string
}

export interface BotComponents {
  port: BotPort
  chats: Place
  /** the answer piece by piece, on the account of a user; throws AssistantError */
  answer(user: string, name: string, turns: readonly Turn[], signal: AbortSignal): AsyncIterable<string>
  now: () => number
  /** a message is handled, or could not be */
  onHandled(error?: Error): void
}

/** Answers in a messenger whom the owner has admitted, several at a time, in a chat one after the other. */
export function createBot({ port, chats, answer, now, onHandled }: BotComponents) {
  const turnsOf = new LRUCache<string, Turn[]>({ max: CHATS })
  /** updates that are being handled, or are though one before them is not yet */
  const taken = new Map<number, boolean>()
  const last = new Map<string, Promise<void>>()
  /** where the look before failed, this one says at once whether it goes again */
  let hasFailed = false

  async function reply({ chat, user, name, text, message }: Update, signal: AbortSignal): Promise<void> {
    if (text === '' || (message != null && port.hasReplied?.(message) === true)) return
    const send = (said: string): Promise<number> => port.send(chat, said, signal, message)
    if (!port.isOpen && !chats.has(chat)) {
      await send(`The owner of this bot admits you with: artel assistant admit ${chat}`)
      return
    }
    if (text === '/start' || text === '/new') {
      turnsOf.delete(chat)
      await send('Ask me something. /new begins anew.')
      return
    }
    const turns: Turn[] = [...(turnsOf.get(chat) ?? []), { role: 'user', content: text }]
    try {
      const content = await showGrowing(
        port,
        { chat, message },
        answer(user, name, turns, signal),
        signal,
        now
      )
      turnsOf.set(chat, [...turns, { role: 'assistant' as const, content }].slice(-TURNS))
    } catch (error) {
      if (!(error instanceof AssistantError)) throw error
      await send(error.message)
    }
  }

  async function handle(update: Update, signal: AbortSignal): Promise<void> {
    try {
      await reply(update, signal)
      onHandled()
    } catch (error) {
      // it comes again after the next start
      if (signal.aborted) return
      onHandled(error as Error)
    }
    taken.set(update.id, true)
    // what is handled up to here never comes again
    let offset = chats.offset()
    for (const [id, isDone] of [...taken].sort(([a], [b]) => a - b)) {
      if (!isDone) break
      offset = id + 1
    }
    chats.setOffset(offset)
    for (const id of taken.keys()) if (id < offset) taken.delete(id)
  }

  return {
    /** One look for messages, which are answered in the background. */
    async look(signal: AbortSignal): Promise<void> {
      const waitMs = taken.size > 0 || hasFailed ? 0 : LONG_POLL_MS
      hasFailed = true
      const updates = await port.updates(chats.offset(), waitMs, signal)
      hasFailed = false
      for (const update of updates) {
        if (taken.has(update.id) || update.id < chats.offset()) continue
        taken.set(update.id, false)
        const next = (): Promise<void> => handle(update, signal)
        const work = (last.get(update.chat) ?? Promise.resolve()).then(next, next)
        last.set(update.chat, work)
        work.finally(() => last.get(update.chat) === work && last.delete(update.chat)).catch(onHandled)
      }
      if (taken.size > 0) await delay(BUSY_MS, undefined, { signal })
    }
  }
}
