import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceApis } from '../../host/index.ts'
import { BotError } from '../errors.ts'
import type { BotPort, Update } from './contract.ts'

const LOOK_MS = 500
/** What is older is no question any more: members bring it again after a long time. */
const NEW_MS = 24 * 60 * 60_000

type Chats = Pick<ServiceApis['messenger'], 'mentions' | 'hasReplied' | 'write'>

/** What names nobody is handled by being looked at. */
const lookedUpTo = (id: number): Update => ({ id, chat: '', user: '', name: '', text: '' })

/**
 * The messenger of this node: its person is a member of chats, and is asked by whoever names him there. Of what else is
 * said nothing comes here. Each who asks is a user of his own. What was answered is what was replied to in the chat, whichever
 * backups the two services come from.
 *
 * @param chats undefined where the messenger does not run
 */
export function createOwnMessenger(chats: () => Chats | undefined, now: () => number): BotPort {
  function found(): Chats {
    const messenger = chats()
    if (messenger == null)
      throw new BotError('the messenger does not run here; start it with --messenger-enabled')
    return messenger
  }

  return {
    // parts that are too long it makes itself
    maxChars: Number.POSITIVE_INFINITY,
    isOpen: true,
    async updates(offset, waitMs, signal) {
      for (const endAt = performance.now() + waitMs; ; ) {
        const { items, next } = found().mentions(Math.max(0, offset - 1), now() - NEW_MS)
        if (next >= offset)
          return [
            ...items.map(
              ({ place, id, chat, by, at, text }): Update => ({
                id: place,
                chat,
                user: `messenger-${by.id}`,
                name: by.name,
                text,
                message: { id, chat, at }
              })
            ),
            ...(items.at(-1)?.place === next ? [] : [lookedUpTo(next)])
          ]
        if (performance.now() >= endAt) return []
        await delay(LOOK_MS, undefined, { signal })
      }
    },
    async send(chat, text, _, message) {
      await found().write(chat, text, randomUUID(), message?.id)
      return 0
    },
    hasReplied: message => found().hasReplied(message),
    async close() {}
  }
}
