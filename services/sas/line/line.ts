import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { crcOf } from '../crc.ts'
import { LineError } from '../errors.ts'
import { answerLength, isForEverybody } from '../frames.ts'
import type { Line } from '../poller.ts'
import { isAcknowledged } from '../tables/polls.ts'
import { createDecoder, encodeMessage } from './in-band.ts'

/** Longer than any answer: a wire that talks without end is no machine. */
const MAX_ANSWER_BYTES = 300
/** A timer that is later than that says that the event loop stood still, and nothing was heard meanwhile. */
const LATE_MS = 20
/** … which is waited out so often. */
const MOST_LATE = 5
/** A poll to everybody has no answer: the next one leaves machines time to see that it is over. */
const NOBODY_MS = 10

export interface LineInit {
  name: string
  transport: Duplex
  /** ms until an answer begins, and between its bytes; machines begin within 20, converters add to it */
  answerMs: number
}

/** Polls over a wire, one after the other. */
export function createLine({ name, transport, answerMs }: LineInit): Line & Disposable {
  let heard: number[] = []
  let news = Promise.withResolvers<void>()
  let failure: LineError | undefined
  let errors = 0
  /** an answer did not come in time, and may come yet */
  let isLate = false
  /** what a wire has kept since before it was opened is no answer */
  let isFresh = true
  /** what a deaf machine says by itself, again and again: its address */
  let chirp: number | undefined
  const decode = createDecoder((byte, isWakeUp) => {
    // only hosts set it
    if (!isWakeUp && byte !== chirp && heard.length < MAX_ANSWER_BYTES) heard.push(byte)
  })
  const wake = (): void => {
    news.resolve()
    news = Promise.withResolvers()
  }
  const fail = (error?: Error | null): void => {
    failure ??= new LineError(`${name} is gone${error == null ? '' : `: ${error.message}`}`)
    wake()
  }
  transport.on('data', (bytes: Uint8Array) => {
    const before = heard.length
    decode(bytes)
    if (heard.length > before) wake()
  })
  transport.on('error', fail)
  transport.on('close', fail)
  transport.on('end', fail)

  async function answerOf(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (let late = 0; ; ) {
      if (failure != null) throw failure
      const whole = bytesOf(message, heard)
      if (heard.length >= whole) return Uint8Array.from(heard.slice(0, whole))
      const before = heard.length
      const begun = performance.now()
      using quiet = createQuiet(answerMs, signal)
      await Promise.race([news.promise, quiet.over])
      signal.throwIfAborted()
      if (!quiet.isOver || heard.length > before) continue
      // its answer may be here, and not read yet
      if (performance.now() - begun < answerMs + LATE_MS || ++late > MOST_LATE) break
    }
    return heard.length === 0 ? undefined : Uint8Array.from(heard)
  }

  return {
    get errors() {
      return errors
    },
    async ask(message, signal) {
      if (failure != null) throw failure
      signal.throwIfAborted()
      if (isFresh) await delay(answerMs, undefined, { signal })
      isFresh = false
      // what came late is no answer to what comes now
      heard = []
      chirp = message.length === 1 ? message[0]! & 0x7f : undefined
      transport.write(encodeMessage(message))
      if (isForEverybody(message)) {
        await delay(NOBODY_MS, undefined, { signal })
        return undefined
      }
      const answer = await answerOf(message, signal)
      // the same poll was answered twice then; the second answer must not be taken for that to the next poll
      if (answer != null && isLate) await delay(answerMs, undefined, { signal })
      isLate = answer == null
      if (answer != null && answer.length > 1 && crcOf(answer) !== 0) errors++
      return answer
    },
    [Symbol.dispose]() {
      transport.destroy()
    }
  }
}

/** How long the answer is, as far as is known: infinite until then. */
function bytesOf(message: Uint8Array, heard: readonly number[]): number {
  // one byte: the next exception; or yes or no
  if (message.length === 1 || isAcknowledged(message[1]!)) return 1
  return answerLength(message[1]!, Uint8Array.from(heard)) ?? Number.POSITIVE_INFINITY
}

function createQuiet(ms: number, signal: AbortSignal) {
  const over = Promise.withResolvers<void>()
  const quiet = {
    over: over.promise,
    isOver: false,
    [Symbol.dispose](): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  }
  const end = (): void => {
    quiet.isOver = true
    over.resolve()
  }
  const timer = setTimeout(end, ms)
  signal.addEventListener('abort', end)
  return quiet
}
