import { lstatSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { raceSignal } from 'race-signal'
import { startDeadline } from '../../host/index.ts'
import { QemuError } from '../errors.ts'

/** Answers of QEMU are small; more than this in one line is no QEMU. */
const LINE_BYTES = 4 << 20
const ANSWER_MS = 5_000

export interface QmpEvent {
  event: string
  data: Record<string, unknown>
}

type Message = {
  QMP?: unknown
  event?: string
  data?: Record<string, unknown>
  id?: number
  return?: unknown
  error?: { desc: string }
}

/** One client of QEMU's machine protocol. A second client of the same socket would get silence. */
export interface Qmp {
  /** @throws QemuError with QEMU's own words, when it falls silent or its socket closes */
  run<T = unknown>(
    command: string,
    args?: object,
    options?: { signal?: AbortSignal; ms?: number }
  ): Promise<T>
  /** resolves when the socket has closed, for whatever reason */
  readonly closed: Promise<void>
  close(): void
}

/**
 * Connects, waits for the greeting and leaves the negotiation.
 * @see qemu docs/interop/qmp-spec.txt
 * @throws QemuError
 */
export async function connectQmp(
  path: string,
  onEvent: (event: QmpEvent) => void,
  { signal, ms = ANSWER_MS }: { signal?: AbortSignal; ms?: number } = {}
): Promise<Qmp> {
  needSocket(path)
  const socket = connect({ path })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  let lastId = 0
  let greet: () => void
  const greeting = new Promise<void>(resolve => {
    greet = resolve
  })

  function hear(message: Message) {
    if (message.QMP !== undefined) return greet()
    if (typeof message.event === 'string') return onEvent({ event: message.event, data: message.data ?? {} })
    const asked = waiting.get(message.id!)
    waiting.delete(message.id!)
    if (message.error !== undefined)
      asked?.reject(new QemuError(`QEMU: ${message.error.desc}`, { isRefusal: true }))
    else asked?.resolve(message.return)
  }

  readLines(socket, hear)
  socket.on('error', () => {}) // 'close' follows and rejects whoever waits
  closed.then(() => {
    for (const { reject } of waiting.values()) reject(new QemuError('QEMU closed its socket'))
    waiting.clear()
  })

  const qmp: Qmp = {
    async run<T>(command: string, args: object = {}, options: { signal?: AbortSignal; ms?: number } = {}) {
      const id = ++lastId
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      answer.catch(() => {}) // the race below tells it
      if (socket.destroyed) throw new QemuError('QEMU closed its socket')
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
      try {
        return (await within(
          answer,
          options.ms ?? ANSWER_MS,
          `${command} got no answer`,
          options.signal
        )) as T
      } finally {
        waiting.delete(id)
      }
    },
    closed,
    close: () => socket.destroy()
  }
  try {
    const gone = closed.then(() => Promise.reject(silent(path)))
    gone.catch(() => {})
    await within(Promise.race([greeting, gone]), ms, `${path} sent no greeting`, signal)
    await qmp.run('qmp_capabilities', {}, { ms, signal })
    return qmp
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/**
 * What runs behind the walls may write in the folder of its sockets: a link there could lead to any socket of the host.
 * @throws QemuError
 */
export function needSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) throw silent(path)
}

function silent(path: string) {
  return new QemuError(`no QEMU answers at ${path}`)
}

async function within<T>(promise: Promise<T>, ms: number, what: string, signal?: AbortSignal): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = startDeadline(ms, () => reject(new QemuError(`${what} within ${ms} ms`)))
  try {
    return await raceSignal(Promise.race([promise, late]), signal)
  } finally {
    timer.stop()
  }
}

/** Lines of JSON; a line that is none, or endless, ends the connection. */
function readLines(socket: Socket, hear: (message: Message) => void) {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    rest += text
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end)
      rest = rest.slice(end + 1)
      let message: Message
      try {
        message = JSON.parse(line)
      } catch (error) {
        socket.destroy(error as Error)
        return
      }
      hear(message)
    }
    if (rest.length > LINE_BYTES) socket.destroy(new QemuError(`a line of more than ${LINE_BYTES} bytes`))
  })
}
