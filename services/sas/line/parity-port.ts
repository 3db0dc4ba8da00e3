import { once } from 'node:events'
import { extname } from 'node:path'
import { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'
import type { SerialPort } from 'serialport'
import { LineError } from '../errors.ts'
import { createDecoder, encodeAnswer } from './in-band.ts'
import { ARCHITECTURES, runsOf } from './parity.ts'
import type { ParityInit, ParityNews } from './parity-thread.ts'

/** one that is ended before it has closed the device leaves it locked for its own node: not for a computer that stood still */
const END_MS = 10_000
const THREAD = new URL(`./parity-thread${extname(import.meta.filename)}`, import.meta.url)

/** What is worth telling of a line that sends by parity. */
export interface ParityState {
  /** a message had a pause in it, and the machine has forgotten it */
  onLate(): void
  /** its thread may not go before others, so that pauses are likelier */
  onSlow(): void
}

/**
 * A port as a wire of the coding of `in-band.ts`, whose wake-up bits go out as parity. Owns the port.
 *
 * @throws {LineError}
 */
export async function openParityPort(
  port: SerialPort,
  init: Omit<ParityInit, 'fd'> & ParityState,
  signal: AbortSignal
): Promise<Duplex> {
  const { name, baudRate, by, onLate, onSlow } = init
  const { fd } = port.port as unknown as { fd: number | null }
  const isAble = process.platform === 'linux' && ARCHITECTURES.includes(process.arch) && fd != null
  // what is over tells nobody so any more
  if (signal.aborted || !isAble) {
    await closed(port)
    signal.throwIfAborted()
    throw new LineError(`${name} cannot send by parity on ${process.platform} ${process.arch}`)
  }
  const thread = new Worker(THREAD, { workerData: { fd, name, baudRate, by } satisfies ParityInit })
  const over = new Promise(resolve => thread.once('exit', resolve))
  let sent: ((error?: Error | null) => void) | undefined

  /** The thread first, as it has the device open, too. */
  async function end(): Promise<void> {
    thread.postMessage('end')
    const timer = setTimeout(() => void thread.terminate(), END_MS)
    await over
    clearTimeout(timer)
    await closed(port)
  }

  const wire = new Duplex({
    read() {},
    write(chunk: Uint8Array, _, done) {
      const message: { byte: number; isWakeUp: boolean }[] = []
      createDecoder((byte, isWakeUp) => message.push({ byte, isWakeUp }))(chunk)
      sent = done
      thread.postMessage(runsOf(message, by))
    },
    destroy(error, done) {
      end().then(
        () => done(error),
        (failed: Error) => done(failed)
      )
    }
  })
  const ready = Promise.withResolvers<void>()
  const fail = (error: Error): void => {
    ready.reject(error)
    wire.destroy(error)
  }
  thread.on('message', (news: ParityNews) => {
    if (news.is === 'failed') return fail(new LineError(news.why))
    if (news.is === 'ready') {
      if (!news.isRealTime) onSlow()
      return ready.resolve()
    }
    if (news.isLate) onLate()
    sent?.()
  })
  thread.on('error', fail)
  port.on('data', (bytes: Uint8Array) => wire.push(Buffer.from(encodeAnswer(bytes))))
  port.on('error', fail)
  port.on('close', () => wire.destroy())
  const onAbort = (): void => fail(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    await ready.promise
    return wire
  } catch (error) {
    wire.on('error', () => undefined /* told already */)
    if (!wire.closed) await new Promise(resolve => wire.once('close', resolve))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function closed(port: SerialPort): Promise<void> {
  port.destroy()
  if (!port.closed) await once(port, 'close')
}
