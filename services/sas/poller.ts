import { FrameError } from './errors.ts'
import { ackOf, dataOf, generalPoll, isForEverybody } from './frames.ts'

/** One wire. Silence, and what is cut off, is undefined. */
export interface Line {
  /** Sends a message with the wake-up bit on its first byte, and hears what comes within its time. */
  ask(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** how many frames had a wrong checksum, or came from elsewhere, up to now */
  readonly errors: number
}

/** What a poller does with what it hears. */
export interface Journal {
  /**
   * Resolves when it is on the disk: only then is the machine told that it was heard. `mayRepeat`: the machine may say
   * the last one of before the restart, or of before the line was gone, once more.
   */
  exception(code: number, mayRepeat: boolean): Promise<unknown>
}

/** A poll to address 0: no machine answers; all know that their last answer has arrived, and hear again. */
const LEAD = Uint8Array.of(0x80)
const NONE = 0x00
/** Asked once more that often, then the machine counts as missing. */
const REPEATS = 2
/** So many general polls without an answer to believe, and a lead is worth more than what it may acknowledge. */
const DEAF_POLLS = 3
/** An exception has no checksum: so many answers must agree, and one more for so many polls after one that was wrong. */
const AGREEING = 2
const DOUBTFUL_POLLS = 1_000
/** ms in which whoever stops hears again an exception that was heard once: a machine may be deaf when he is back */
const HEARING_MS = 2_000

export interface PollerInit {
  address: number
  line: Line
  journal: Journal
}

/**
 * Asks one machine, so that no exception is lost. What acknowledges an answer is the next poll to another address, `80`
 * too, or another long poll: nothing of that goes out before the exception is on the disk, nor after a single "none",
 * which may be an exception with wrong bits. The same poll again acknowledges nothing.
 */
export function createPoller({ address, line, journal }: PollerInit) {
  let errors = line.errors
  // nothing is known of the line yet
  let doubtful = DOUBTFUL_POLLS
  /** general polls in a row whose answer was not believed: a lead, or a long poll, would say that it was heard */
  let unheard = 0
  /** an exception that was heard, and is not on the disk yet */
  let owed: number | undefined
  /** the machine may hear that its last exception was heard */
  let isWritten = false
  /** nobody knows whether the machine heard that */
  let mayRepeat = true
  /** it has said "none", once */
  let isUnsure = false

  async function ask(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (let i = 0; i <= REPEATS; i++) {
      signal.throwIfAborted()
      // the same poll again says that its answer has not arrived
      const answer = await line.ask(message, signal)
      if (line.errors > errors) {
        errors = line.errors
        doubtful = DOUBTFUL_POLLS
      }
      if (answer != null) return answer
    }
    return undefined
  }

  async function one(message: Uint8Array, signal: AbortSignal): Promise<number | undefined> {
    const answer = await ask(message, signal)
    return answer?.length === 1 ? answer[0] : undefined
  }

  /** An answer that is the same often enough in a row, or undefined. A "none" may do once, see `isUnsure`. */
  async function agreed(message: Uint8Array, mustBeSure: boolean, signal: AbortSignal) {
    using last = hearingOut(signal)
    let before: number | undefined
    let times = 0
    for (let i = 0; i < 2 * (AGREEING + 1); i++) {
      const isBegun = before != null && before !== NONE
      const answer = await one(message, isBegun ? last.signal : signal)
      if (answer == null) return undefined
      // an exception stands until it is acknowledged
      if (i > 0 && answer !== before && before !== NONE) doubtful = DOUBTFUL_POLLS
      times = answer === before ? times + 1 : 1
      before = answer
      isUnsure = i === 0 && answer === NONE && !mustBeSure
      if (isUnsure || times >= AGREEING + (doubtful > 0 ? 1 : 0)) return answer
    }
    return undefined
  }

  async function hear(signal: AbortSignal, mustBeSure = false): Promise<number | undefined> {
    unheard++
    if (doubtful > 0) doubtful--
    const code = await agreed(generalPoll(address), mustBeSure, signal).catch((error: Error) => {
      mayRepeat = true
      throw error
    })
    if (code == null) return undefined
    // it is not deaf: no lead is needed, and none goes out before this is on the disk
    unheard = 1
    // a machine that was switched off meanwhile has forgotten it
    if (owed != null && owed !== code) await write(owed, true)
    if (code !== NONE) await write(code, mayRepeat)
    mayRepeat = false
    unheard = 0
    return code
  }

  /** Sends once; what the line did not take acknowledges nothing. */
  async function send(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const answer = await line.ask(message, signal)
    isWritten = false
    return answer
  }

  /**
   * To be called before what acknowledges answers of this machine, as a poll to another one does. False where it says
   * nothing that can be believed.
   */
  const settle = async (signal: AbortSignal): Promise<boolean> =>
    (unheard === 0 && !isUnsure) || (await hear(signal, true)) != null

  async function write(code: number, mayRepeat: boolean): Promise<void> {
    owed = code
    await journal.exception(code, mayRepeat)
    owed = undefined
    isWritten = true
  }

  return {
    /**
     * Asks for the next exception and writes it down: its code, 0 for none, undefined where the machine says nothing
     * that can be believed.
     */
    async general(signal: AbortSignal): Promise<number | undefined> {
      // what was heard before is on the disk; who is silent for long is deaf, and hears again after it.
      // After a start it is asked first: what it said last may not be on the disk, and a lead would say that it is.
      if ((isWritten && unheard === 0) || unheard > DEAF_POLLS) {
        if (owed != null) await write(owed, true)
        await send(LEAD, signal)
      }
      return hear(signal)
    },

    settle,

    /** The frame that answers a long poll, or undefined: not supported, or not there. */
    async long(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
      if (!(await settle(signal))) return undefined
      if (isForEverybody(message)) return send(message, signal)
      for (let i = 0; i <= REPEATS; i++) {
        const answer = await ask(message, signal)
        if (answer == null) return undefined
        isWritten = false
        // asked again: that is how a machine hears that its answer was not right
        if (isAnswer(message, answer)) return answer
      }
      return undefined
    },

    /**
     * Sends what must not be sent twice: its answer, or undefined where none came that can be believed. To be called
     * right after `settle`, for this poll acknowledges.
     */
    async once(message: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
      const answer = await send(message, signal)
      return answer != null && isAnswer(message, answer) ? answer : undefined
    }
  }

  function isAnswer(message: Uint8Array, answer: Uint8Array): boolean {
    if (ackOf(address, answer) != null) return true
    try {
      dataOf(address, message[1]!, answer)
      return true
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      doubtful = DOUBTFUL_POLLS
      return false
    }
  }
}

/** Aborted a while after `signal` is. */
function hearingOut(signal: AbortSignal): Disposable & { signal: AbortSignal } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const stop = (): void => {
    timer = setTimeout(() => controller.abort(signal.reason), HEARING_MS)
  }
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }
}
