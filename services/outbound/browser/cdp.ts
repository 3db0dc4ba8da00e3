import type { Readable, Writable } from 'node:stream'
import { FetchError } from '../errors.ts'

/** What one page's document is, told and asked over Chromium's DevTools protocol. */
export interface Cdp {
  /** @throws {FetchError} Chromium refuses it, or has ended */
  send<T = unknown>(method: string, params?: object, session?: string): Promise<T>
  /** Hears one event; later ones too. */
  on(event: string, listener: (params: never) => void): void
  /** Nobody is there any more. */
  fail(error: Error): void
}

interface Message {
  id?: number
  method?: string
  params?: never
  result?: unknown
  error?: { message: string }
}

const END = 0

/**
 * Speaks to Chromium over its pipe: JSON, each ended by a zero byte. What it says is bounded, for a page may have had a hand
 * in it.
 *
 * @param maxBytes of all that it says
 * @param onWild it has said more
 */
export function createCdp(
  { to, from }: { to: Writable; from: Readable },
  { maxBytes, onWild }: { maxBytes: number; onWild(error: Error): void }
): Cdp {
  const asked = new Map<number, PromiseWithResolvers<unknown>>()
  const listeners = new Map<string, (params: never) => void>()
  let kept: Buffer[] = []
  let heard = 0
  let last = 0
  let failure: Error | undefined

  function fail(error: Error): void {
    failure ??= error
    for (const { reject } of asked.values()) reject(failure)
    asked.clear()
  }

  function read({ id, method, params, result, error }: Message): void {
    if (method != null) listeners.get(method)?.(params!)
    const call = asked.get(id!)
    asked.delete(id!)
    if (error == null) call?.resolve(result)
    else call?.reject(new FetchError(`Chromium: ${error.message.slice(0, 300)}`))
  }

  /** Nothing more of it is heard. */
  function wild(message: string): void {
    from.destroy()
    kept = []
    onWild(new FetchError(message))
  }

  from.on('data', (chunk: Buffer) => {
    heard += chunk.byteLength
    if (heard > maxBytes) return wild(`Chromium says more than ${maxBytes} bytes of a page`)
    for (let at = 0; ; ) {
      const end = chunk.indexOf(END, at)
      kept.push(chunk.subarray(at, end === -1 ? undefined : end))
      if (end === -1) return
      const text = Buffer.concat(kept).toString('utf8')
      kept = []
      at = end + 1
      try {
        read(JSON.parse(text) ?? {})
      } catch {
        // also one without what its kind has: a listener or an answer stumbles over it
        return wild('Chromium says what is no message')
      }
    }
  })
  // its end is the end of the process, which is heard elsewhere
  for (const pipe of [to, from]) pipe.on('error', () => {})

  return {
    send<T>(method: string, params: object = {}, session?: string) {
      if (failure != null) return Promise.reject(failure)
      const call = Promise.withResolvers<unknown>()
      asked.set(++last, call)
      to.write(`${JSON.stringify({ id: last, method, params, sessionId: session })}\0`)
      return call.promise as Promise<T>
    },
    on: (event, listener) => void listeners.set(event, listener),
    fail
  }
}
