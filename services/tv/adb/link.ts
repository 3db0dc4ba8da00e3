import { setTimeout as delay } from 'node:timers/promises'
import { type Adb, type AdbSocket, AdbSync } from '@yume-chan/adb'
import { ReadableStream } from '@yume-chan/stream-extra'
import { raceSignal } from 'race-signal'
import { TvDownError, TvFailedError, TvOverdueError, TvProtocolError } from '../errors.ts'
import { within } from './deadline.ts'
import type { AdbKey } from './key.ts'
import { openSession, type Session } from './session.ts'
import { readShellV1, readShellV2, type ShellAnswer, withExitCode } from './shell-answer.ts'

const DEADLINE_MS = 10_000
const PAIR_MS = 120_000
const HEARTBEAT_MS = 5_000
/** after so many calls in a row without an answer the connection is given up: TCP can be half open */
const MISSED = 2
const FIRST_WAIT_MS = 500
const LAST_WAIT_MS = 30_000
/** a picture of a 4K screen has 33 MB */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const FILE_MODE = 0o644

/** How far it is up; each needs the one before. */
export type Lamp = 'down' | 'tcp' | 'auth' | 'shell'

export interface LinkInit {
  host: string
  /** asked each time that it connects, where it is not always the same; throws TvDownError */
  port: number | ((signal: AbortSignal) => Promise<number>)
  key: AdbKey
  /** ms of one call, and of each step of connecting; default: 10,000 */
  deadlineMs?: number
  /** ms between two looks at whether it still answers; default: 5,000 */
  heartbeatMs?: number
  /** it is up so far; why it is no further */
  onLamp?(lamp: Lamp, why: string | undefined): void
  signal: AbortSignal
}

export interface CallOptions {
  signal?: AbortSignal
  deadlineMs?: number
}

/** One at a time is asked; the others wait for their turn. Files go aside. */
export interface Link {
  readonly lamp: Lamp
  /** why it is no further up */
  readonly reason: string | undefined
  /**
   * Runs one command line and waits for its end.
   *
   * @throws {TvDownError} the TV is not there, or went away
   * @throws {TvOverdueError} no answer in time
   * @throws {TvProtocolError} what came cannot be read
   */
  run(command: string, options?: CallOptions): Promise<ShellAnswer>
  /** What a command says while it runs, which ends with the signal; aside of the others. Errors as of `run`. */
  listen(command: string, signal: AbortSignal): AsyncGenerator<Uint8Array>
  /**
   * Writes a file, which is half there where it fails: see `putFile`. The deadline is that of silence.
   *
   * @throws {TvFailedError} the TV has no room, or refuses the path
   */
  push(path: string, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>
  /** Shows the key on the screen once, and resolves when somebody has allowed it. @throws {TvOverdueError} */
  pair(signal?: AbortSignal): Promise<void>
  /** resolves after `signal`, when nothing of it runs any more */
  readonly ended: Promise<void>
}

/** The ADB daemon of one TV: connects, proves the key, stays connected. */
export function openLink(init: LinkInit): Link {
  const { host, port, key, signal, onLamp } = init
  const deadlineMs = init.deadlineMs ?? DEADLINE_MS
  let place = typeof port === 'number' ? `${host}:${port}` : host
  let lamp: Lamp = 'down'
  let reason: string | undefined
  let session: Session | undefined
  let overdue = 0
  let pairing: PromiseWithResolvers<void> | undefined
  let turn: Promise<void> = Promise.resolve()
  let wake = Promise.withResolvers<void>()
  /** the first try is over */
  const tried = Promise.withResolvers<void>()

  function show(next: Lamp, why?: string): void {
    if (next === lamp && why === reason) return
    lamp = next
    reason = why
    onLamp?.(next, why)
  }

  async function stay(): Promise<void> {
    let waitMs = FIRST_WAIT_MS
    while (!signal.aborted) {
      const pair = pairing
      try {
        const pairMs = pair == null ? undefined : PAIR_MS
        const at = typeof port === 'number' ? port : await port(signal)
        place = `${host}:${at}`
        using opened = await openSession({
          host,
          port: at,
          key,
          deadlineMs,
          pairMs,
          onTcp: () => show('tcp', 'its daemon has not answered yet'),
          signal
        })
        session = opened
        overdue = 0
        show('auth', 'its shell has not answered yet')
        await call(runOn('true'), {})
        show('shell')
        waitMs = FIRST_WAIT_MS
        tried.resolve()
        // also who asked meanwhile: the key is known
        pairing?.resolve()
        pairing = undefined
        await watch(opened)
      } catch (error) {
        show('down', (error as Error).message)
        pair?.reject(error)
        if (pair === pairing) pairing = undefined
      }
      session = undefined
      tried.resolve()
      if (pairing != null) continue
      wake = Promise.withResolvers()
      const pause = delay(waitMs, undefined, { signal }).catch(() => undefined /* it ends */)
      await Promise.race([pause, wake.promise])
      waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
    }
    pairing?.reject(signal.reason)
  }

  /** Asks for a sign of life until there is none. @throws {Error} why it ended */
  async function watch({ gone, socket }: Session): Promise<never> {
    const everyMs = init.heartbeatMs ?? HEARTBEAT_MS
    for (;;) {
      const beat = new AbortController()
      const pause = delay(everyMs, undefined, { signal: AbortSignal.any([signal, beat.signal]) })
      const end = await Promise.race([gone, pause.catch(() => undefined /* it ends */)])
      beat.abort()
      if (end != null) throw end
      signal.throwIfAborted()
      // two in a row that are overdue destroy the socket
      await call(runOn('true'), { deadlineMs: everyMs }).catch((error: Error) => {
        if (socket.destroyed) throw error
      })
    }
  }

  async function call<T>(
    work: Work<T>,
    { signal: until, deadlineMs: ms = deadlineMs }: CallOptions,
    isAside = false
  ): Promise<T> {
    const before = isAside ? Promise.resolve() : turn
    const mine = Promise.withResolvers<void>()
    if (!isAside) turn = mine.promise
    const over = new AbortController()
    try {
      await raceSignal(before, until)
      const now = session
      if (now == null || now.socket.destroyed)
        throw new TvDownError(`the TV at ${place} is not connected: ${reason ?? 'it went away'}`)
      const gone = now.gone.then(error => {
        throw error
      })
      try {
        const answer = await within(ms, `the TV at ${place} has not answered`, again =>
          raceSignal(Promise.race([work(now.adb, over.signal, again), gone]), until)
        )
        overdue = 0
        return answer
      } catch (error) {
        const isLost =
          error instanceof TvProtocolError || (error instanceof TvOverdueError && ++overdue >= MISSED)
        if (isLost) now.socket.destroy(error as Error)
        throw error
      } finally {
        gone.catch(() => undefined /* said to whoever waited */)
      }
    } finally {
      over.abort()
      // who did not wait for his turn has none to pass on
      void before.then(mine.resolve)
    }
  }

  async function* listen(command: string, until: AbortSignal): AsyncGenerator<Uint8Array> {
    await tried.promise
    const over = new AbortController()
    const all = AbortSignal.any([until, over.signal])
    void session?.gone.then(error => over.abort(error))
    try {
      const socket = await call(adb => adb.createSocket(`exec:${command}`), { signal: until }, true)
      closeAfter(all, socket)
      const reader = socket.readable.getReader()
      for (;;) {
        const { done, value } = await raceSignal(reader.read(), all)
        if (done) return
        yield value
      }
    } catch (error) {
      if (all.aborted) throw all.reason
      const { name, message } = error as Error
      throw name.startsWith('Tv')
        ? error
        : new TvFailedError(`the TV at ${place} refuses ${command}: ${message}`)
    } finally {
      over.abort()
    }
  }

  const ended = stay()
  return {
    get lamp() {
      return lamp
    },
    get reason() {
      return reason
    },
    async run(command, options = {}) {
      await tried.promise
      return call(runOn(command), options)
    },
    listen,
    async push(path, bytes, options = {}) {
      await tried.promise
      // a film takes minutes: keys do not wait for it
      return call(pushOn(path, bytes), options, true)
    },
    async pair(until) {
      pairing ??= Promise.withResolvers()
      const { promise } = pairing
      if (lamp === 'shell') {
        pairing = undefined
        return
      }
      wake.resolve()
      await raceSignal(promise, until)
    },
    ended
  }
}

/** Something that a TV is asked. `over`: nobody waits for it any more; `again` begins its time anew. */
type Work<T> = (adb: Adb, over: AbortSignal, again: () => void) => Promise<T>

const runOn =
  (command: string): Work<ShellAnswer> =>
  async (adb, over) => {
    const isV2 = adb.deviceFeatures.includes('shell_v2')
    const socket = await adb.createSocket(isV2 ? `shell,v2,raw:${command}` : `shell:${withExitCode(command)}`)
    closeAfter(over, socket)
    const bytes = await collect(socket.readable as AsyncIterable<Uint8Array>)
    return isV2 ? readShellV2(bytes) : readShellV1(bytes)
  }

const pushOn =
  (path: string, bytes: AsyncIterable<Uint8Array>): Work<void> =>
  async (adb, over, again) => {
    async function* moving(): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes) {
        again()
        yield chunk
      }
      again()
    }
    const socket = await adb.createSocket('sync:')
    closeAfter(over, socket)
    try {
      await new AdbSync(adb, socket).write({
        filename: path,
        file: ReadableStream.from(moving()) as never,
        permission: FILE_MODE
      })
    } catch (error) {
      // what the TV answered has no name; what went away has said so elsewhere
      throw new TvFailedError(`${path} was not written: ${(error as Error).message}`)
    }
  }

/** What runs on the TV ends there: a process that nobody hears would stay. */
function closeAfter(over: AbortSignal, socket: AdbSocket): void {
  const close = async (): Promise<void> => {
    try {
      await socket.close()
    } catch {
      // the TV went away, and all that ran on it
    }
  }
  if (over.aborted) void close()
  else over.addEventListener('abort', () => void close(), { once: true })
}

/** All that a stream of a TV says until it ends. @throws {TvProtocolError} too much */
async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES)
      throw new TvProtocolError(`the TV sent more than ${MAX_ANSWER_BYTES} bytes for one command`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
