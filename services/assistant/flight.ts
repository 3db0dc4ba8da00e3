import { once } from 'node:events'
import { setMaxListeners } from 'main-event'
import { AssistantError, StreamError } from './errors.ts'
import type { Json } from './provider/send.ts'

/** Who comes later than this joins no more. */
const JOIN_CHARS = 1024 * 1024
const MAX_CHARS = 8 * 1024 * 1024

/** A piece of an answer; the last of it says what it took, which not everybody wants to know. */
export interface Piece {
  text: string
  isUsage?: boolean
}

export interface Reader {
  /** as they come, without the first `from`; throws what ended the answer before its end */
  pieces(from?: number): AsyncGenerator<Piece>
  /** the answer as a whole */
  whole: Promise<Json>
  /** The first piece is there, or the whole. */
  begun: Promise<void>
  /** Wants no more; the last who leaves ends the call of the provider. */
  leave(): void
}

/**
 * One call of a provider with any number of readers, each at his own pace.
 *
 * @param work puts pieces as they come, and gives the whole
 */
export function startFlight(
  work: (put: (piece: Piece) => void, signal: AbortSignal) => Promise<Json>,
  maxChars = MAX_CHARS
) {
  const pieces: Piece[] = []
  const news = new EventTarget()
  setMaxListeners(Number.POSITIVE_INFINITY, news)
  const controller = new AbortController()
  const begun = Promise.withResolvers<void>()
  let chars = 0
  let readers = 0
  let isOver = false

  function put(piece: Piece): void {
    chars += piece.text.length
    if (chars > maxChars) throw new StreamError(`an answer of more than ${maxChars} characters`)
    pieces.push(piece)
    begun.resolve()
    news.dispatchEvent(new Event('news'))
  }

  const whole = work(put, controller.signal).finally(() => {
    isOver = true
    news.dispatchEvent(new Event('news'))
  })
  whole.then(
    () => begun.resolve(),
    error => begun.reject(error)
  )
  // who reads has them himself
  begun.promise.catch(() => {})

  return {
    whole,
    get chars(): number {
      return chars
    },
    get mayJoin(): boolean {
      return !isOver && !controller.signal.aborted && chars <= JOIN_CHARS
    },
    join(): Reader {
      readers++
      const left = new AbortController()
      let hasLeft = false
      return {
        whole,
        begun: begun.promise,
        leave() {
          if (hasLeft) return
          hasLeft = true
          readers--
          // most go when they have all of it
          if (isOver) return
          left.abort(new AssistantError(499, 'api_error', 'left', 'the caller has left'))
          if (readers === 0) controller.abort(left.signal.reason)
        },
        async *pieces(from = 0) {
          for (let i = from; ; ) {
            left.signal.throwIfAborted()
            if (i < pieces.length) yield pieces[i++]!
            else if (isOver) {
              await whole
              return
            } else await once(news, 'news', { signal: left.signal })
          }
        }
      }
    }
  }
}

export type Flight = ReturnType<typeof startFlight>
