import { ServiceDownError } from '../../host/index.ts'
import { HERE_MS } from '../messages.ts'

export interface Told {
  type: string
  value?: unknown
}
type Tell = (topic: string, value: unknown) => void

/** One who reads nothing for so many is let go, and asks for all when he comes again. */
const MAX_WAITING = 256

/** Tells pages of this node, and of others who follow. */
export function createTelling(tell: Tell) {
  const followers = new Set<Tell>()
  return {
    tell(topic: string, value: unknown): void {
      tell(topic, value)
      for (const follower of followers) follower(topic, value)
    },
    /** Until the signal ends. The same again is told once. @throws {ServiceDownError} too much waits */
    async *follow(signal: AbortSignal): AsyncGenerator<Told> {
      const waiting = new Map<string, Told>()
      let woken = Promise.withResolvers<void>()
      const wake = (): void => woken.resolve()
      const follower: Tell = (topic, value) => {
        waiting.set(JSON.stringify([topic, value]), { type: `messenger:${topic}`, value })
        wake()
      }
      followers.add(follower)
      signal.addEventListener('abort', wake, { once: true })
      try {
        yield { type: 'here' }
        while (!signal.aborted) {
          if (waiting.size > MAX_WAITING) throw new ServiceDownError('you read too slowly; come again', 1)
          const told = [...waiting.values()]
          waiting.clear()
          yield* told
          if (waiting.size > 0) continue
          const timer = setTimeout(wake, HERE_MS)
          await woken.promise
          clearTimeout(timer)
          woken = Promise.withResolvers()
          if (waiting.size === 0 && !signal.aborted) yield { type: 'here' }
        }
      } finally {
        signal.removeEventListener('abort', wake)
        followers.delete(follower)
      }
    }
  }
}
export type Telling = ReturnType<typeof createTelling>
