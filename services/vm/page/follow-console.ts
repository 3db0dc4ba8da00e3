import { type Api, type ConsoleAnswer, RefusedError } from './api.ts'

/** The node answers when there is something new, at the latest after this. */
const WAIT_MS = 20_000
/** A guest that writes without end is looked at so often. */
const PAUSE_MS = 30
const AGAIN_MS = 2_000
/** The node takes so much at once. */
const INPUT_CHARACTERS = 1_024

export interface ConsoleSink {
  /** `isNew`: the machine was started again, what stood there is over */
  write(bytes: Uint8Array, isNew: boolean): void
  writer(writer: ConsoleAnswer['writer']): void
  /** undefined: it is reached again */
  lost(reason: string | undefined): void
}

const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Shows a console until the signal ends. */
export async function followConsole(
  api: Api,
  vm: string,
  { session, signal, sink }: { session: string; signal: AbortSignal; sink: ConsoleSink }
): Promise<void> {
  let after = 0
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      const request = { after, session, waitMs: isFirst ? 0 : WAIT_MS }
      const { at, text, writer } = await api.console(vm, request, signal)
      sink.lost(undefined)
      sink.writer(writer)
      if (text !== '' || at < after)
        sink.write(
          Uint8Array.from(text, character => character.charCodeAt(0)),
          at < after
        )
      after = at
      await wait(PAUSE_MS)
    } catch (error) {
      if (signal.aborted) return
      sink.lost((error as Error).message)
      await wait(AGAIN_MS)
    }
  }
}

/** Sends what is typed in its order, however slow the node is. */
export function createTyper(
  api: Api,
  vm: string,
  { session, refused }: { session: string; refused(error: RefusedError | Error): void }
) {
  let pending = ''
  let isSending = false

  async function flush(): Promise<void> {
    if (isSending) return
    isSending = true
    try {
      while (pending !== '') {
        const input = pending.slice(0, INPUT_CHARACTERS)
        pending = pending.slice(INPUT_CHARACTERS)
        await api.console(vm, { input, session })
      }
    } catch (error) {
      // what was typed for somebody who does not listen is not kept for later
      pending = ''
      refused(error as Error)
    } finally {
      isSending = false
    }
  }

  return {
    type(text: string): void {
      pending += text
      void flush()
    },
    /** The keyboard, though somebody else has it. */
    takeOver: () => api.console(vm, { input: '', session, takeOver: true })
  }
}

export const isTaken = (error: Error): boolean =>
  error instanceof RefusedError && error.reason === 'BusyError'
