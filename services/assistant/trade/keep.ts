import { LRUCache } from 'lru-cache'
import type { Flight, Reader } from '../flight.ts'

/** Whoever has lost his line comes back soon, or not at all. */
const KEPT_MS = 30_000
const MAX_KEPT = 1_000
/** of those that nobody reads */
const MAX_KEPT_CHARS = 64 * 1024 * 1024

interface Kept {
  flight: Flight
  /** of the keeper, so that the answer goes on while nobody else reads it */
  own: Reader
  readers: number
}

/** Answers that are read, and others for a while after: who has lost one on its way asks for the rest of it. */
export function createKeep(keptMs = KEPT_MS) {
  const read = new Map<string, Kept>()
  const unread = new LRUCache<string, Kept>({
    max: MAX_KEPT,
    maxSize: MAX_KEPT_CHARS,
    sizeCalculation: ({ flight }) => flight.chars + 1,
    ttl: keptMs,
    ttlAutopurge: true,
    dispose: ({ own }, _, reason) => {
      if (reason !== 'delete') own.leave()
    }
  })

  return {
    has: (key: string): boolean => read.has(key) || unread.has(key),

    /** Reads the answer of the key, which begins here where there is none. */
    join(key: string, begin: () => Flight): Reader {
      const kept = read.get(key) ?? unread.get(key) ?? keeping(begin())
      unread.delete(key)
      read.set(key, kept)
      kept.readers++
      const reader = kept.flight.join()
      let hasLeft = false
      return {
        ...reader,
        leave() {
          if (hasLeft) return
          hasLeft = true
          reader.leave()
          if (--kept.readers > 0 || read.get(key) !== kept) return
          read.delete(key)
          unread.set(key, kept)
        }
      }
    },

    /** Nobody asks for it any more; without readers it ends. */
    forget(key: string): void {
      const kept = read.get(key) ?? unread.get(key)
      read.delete(key)
      unread.delete(key)
      kept?.own.leave()
    },

    /** Nothing that runs goes on without its readers. */
    close(): void {
      for (const { own } of [...read.values(), ...unread.values()]) own.leave()
      read.clear()
      unread.clear()
    }
  }
}

const keeping = (flight: Flight): Kept => ({ flight, own: flight.join(), readers: 0 })
