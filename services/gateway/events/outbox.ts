/** Where an outbox writes to; `sent` is called once the network took the text. */
export interface Sink {
  /** bytes that wait for the network */
  readonly waiting: number
  send(text: string | Uint8Array, sent: () => void): void
  /** ends a reader that is too slow */
  drop(): void
}

/** More than this before the network, and texts wait here, where newer ones replace older. */
const HIGH_WATER_BYTES = 256 * 1024
/** Texts with different keys that wait; who is behind by more is let go. */
const MAX_WAITING = 2_000

/**
 * Texts on their way to one reader. While the reader keeps up, all are sent in order; while it does not, only the
 * newest of each key is kept. So memory is bounded by the reader's network buffer and MAX_WAITING texts.
 */
export function createOutbox(sink: Sink) {
  const waiting = new Map<string, string | Uint8Array>()
  let onEmpty = (): void => {}

  function flush(): void {
    for (const [key, text] of waiting) {
      if (sink.waiting >= HIGH_WATER_BYTES) return
      waiting.delete(key)
      sink.send(text, flush)
    }
    onEmpty()
  }

  return {
    /** Calls `then` once nothing waits here any more. */
    finish(then: () => void): void {
      if (waiting.size === 0) then()
      else onEmpty = then
    },
    put(key: string, text: string | Uint8Array): void {
      if (waiting.size === 0 && sink.waiting < HIGH_WATER_BYTES) {
        sink.send(text, flush)
        return
      }
      // again at the end: what is newest comes last
      waiting.delete(key)
      waiting.set(key, text)
      if (waiting.size > MAX_WAITING) {
        waiting.clear()
        sink.drop()
      }
    }
  }
}
