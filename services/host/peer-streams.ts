import { once } from 'node:events'
import type { AbortOptions, Connection, Logger, PeerId, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { z } from 'zod'
import { exchangeFrames, type FrameExchange } from '../../bootstrap/framing.ts'
import { decodeValue, encodeValue } from '../../sandbox/value.ts'
import { admits, type PeerLists } from './access.ts'
import { createDeadline } from './deadline.ts'
import {
  ForbiddenError,
  isFault,
  PeerError,
  RequestError,
  UnknownOperationError,
  UnreachableError
} from './errors.ts'
import {
  type AskOptions,
  DEFAULT_AT_ONCE,
  DEFAULT_FRAME_BYTES,
  DEFAULT_MESSAGE_MS,
  type Exchange,
  MAX_FRAME_BYTES,
  type Message,
  type PeerCall,
  type Protocol
} from './protocol.ts'

/** What the host uses of libp2p. */
export interface ServiceNetwork {
  readonly peerId: PeerId
  handle(
    protocol: string,
    handler: StreamHandler,
    options?: { maxInboundStreams?: number; maxOutboundStreams?: number }
  ): Promise<void>
  unhandle(protocol: string): Promise<void>
  getConnections(): Pick<Connection, 'remotePeer' | 'remoteAddr'>[]
  dialProtocol(
    peer: PeerId,
    protocol: string,
    options?: AbortOptions & { maxOutboundStreams?: number }
  ): Promise<Stream>
}

const NAME_BYTES = 64
const ERROR_CHARS = 1_000
/** Who has opened a stream says at once what he wants. */
const FIRST_MS = 10_000
/** Streams of one peer to one service; above what the messages allow, so that these answer with a reason. */
const MAX_STREAMS = 256

// What an answering frame is: [kind, value].
const ITEM = 0
const ANSWER = 1
const ERROR = 2
const frame = z.tuple([z.int(), z.unknown()])
const failure = z.object({ name: z.string().max(100), message: z.string().max(2 * ERROR_CHARS) })

const limitOf = ({ maxBytes = DEFAULT_FRAME_BYTES }: Message): number => Math.min(maxBytes, MAX_FRAME_BYTES)
const isLong = ({ items, sends }: Message): boolean => items != null || sends != null
const encode = (schema: z.ZodType, value: unknown): Uint8Array =>
  encodeValue(z.encode(schema, withDefaults(schema, value) as never))

/** What has a default may be left out; encoding alone demands it. */
function withDefaults(schema: z.ZodType, value: unknown): unknown {
  if (!(schema instanceof z.ZodObject)) return value
  const usual = Object.entries(schema.shape).flatMap(([key, field]) =>
    field instanceof z.ZodDefault ? [[key, field.def.defaultValue]] : []
  )
  return usual.length === 0 ? value : { ...Object.fromEntries(usual), ...(value as object) }
}

export interface AnswerInit {
  network: ServiceNetwork
  protocol: string
  messages: Protocol
  handlers: Record<string, (request: never, call: PeerCall<never, never>) => unknown>
  lists: () => PeerLists
  signal: AbortSignal
  log: Logger
  /** an error that the declaration knows travels by name; others are faults of ours, and only said to be so */
  isKnown(error: Error): boolean
  onFault(message: string, error: Error): void
  onSuccess(message: string): void
}

/** Serves the messages of one service until its signal ends. */
export async function answerPeers(init: AnswerInit): Promise<void> {
  const { network, protocol, log, signal } = init
  const busy = new Map<string, number>()

  async function onStream(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const onStop = (): void => stream.abort(signal.reason)
    signal.addEventListener('abort', onStop, { once: true })
    try {
      const io = exchangeFrames(stream)
      const first = AbortSignal.timeout(FIRST_MS)
      const name = await io.read({ maxBytes: NAME_BYTES, signal: first })
      if (name == null) return stream.abort(new RequestError('nothing was asked'))
      await answer(Buffer.from(name).toString('latin1'), peer, io, stream)
      const last = AbortSignal.timeout(FIRST_MS)
      await stream.close({ signal: last })
      // what was sent too much is not read; who does not close his end is closed
      if (stream.status === 'open') await once(stream, 'close', { signal: last })
    } catch (error) {
      if (!signal.aborted) log('a stream of %s ended: %e', peer, error)
      stream.abort(error as Error)
    } finally {
      signal.removeEventListener('abort', onStop)
    }
  }

  /** Every request has its answer: what is refused, fails or takes too long is told by name. */
  async function answer(name: string, peer: string, io: FrameExchange, stream: Stream): Promise<void> {
    const gone = new AbortController()
    const onClose = (): void => gone.abort(new UnreachableError(`${peer} has gone`))
    stream.addEventListener('close', onClose)
    const message = Object.hasOwn(init.messages, name) ? init.messages[name]! : undefined
    using deadline = createDeadline(`${protocol} ${name}`, message?.deadlineMs ?? DEFAULT_MESSAGE_MS, [
      signal,
      gone.signal
    ])
    const key = `${name} ${peer}`
    let isOurs = false
    try {
      if (message == null) throw new UnknownOperationError(`there is no message ${JSON.stringify(name)}`)
      if (!admits(message.peers ?? 'everybody', peer, init.lists()))
        throw new ForbiddenError(`${name} is not for your node`)
      const atOnce = message.atOnce ?? DEFAULT_AT_ONCE
      if ((busy.get(key) ?? 0) >= atOnce)
        throw new ForbiddenError(`more than ${atOnce} requests ${name} of your node at once`)
      busy.set(key, (busy.get(key) ?? 0) + 1)
      try {
        const value = await work(message, name, peer, io, deadline, () => {
          isOurs = true
        })
        await io.write([encodeValue([ANSWER, value])], { signal: deadline.signal })
      } finally {
        const left = busy.get(key)! - 1
        if (left === 0) busy.delete(key)
        else busy.set(key, left)
      }
      init.onSuccess(name)
    } catch (error) {
      if (gone.signal.aborted) throw error
      const fault = error as Error
      if (isOurs && !signal.aborted && isFault(fault, init.isKnown)) init.onFault(name, fault)
      const told = init.isKnown(fault)
        ? { name: fault.name, message: fault.message.slice(0, ERROR_CHARS) }
        : { name: 'InternalError', message: 'the node made a mistake' }
      await io.write([encodeValue([ERROR, told])], { signal: AbortSignal.timeout(FIRST_MS) })
    } finally {
      stream.removeEventListener('close', onClose)
    }
  }

  async function work(
    message: Message,
    name: string,
    peer: string,
    io: FrameExchange,
    deadline: ReturnType<typeof createDeadline>,
    onBegin: () => void
  ): Promise<unknown> {
    const bytes = await io.read({ maxBytes: limitOf(message), signal: deadline.signal })
    if (bytes == null) throw new RequestError(`${name} came without a request`)
    const request = parse(message.request, decodeValue(bytes), name)
    const call: PeerCall<unknown, unknown> = {
      peer,
      signal: deadline.signal,
      async send(item) {
        if (message.items == null) throw new TypeError(`${name} has no items`)
        deadline.putOff()
        await io.write([encodeValue([ITEM, z.encode(message.items, item as never)])], deadline)
        deadline.putOff()
      },
      received: received(message, name, io, deadline)
    }
    onBegin()
    const answer = (async () => init.handlers[name]!(request as never, call as never))()
    return z.encode(message.answer, (await deadline.within(answer)) as never)
  }

  await network.handle(protocol, (stream, connection) => void onStream(stream, connection), {
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS
  })
}

async function* received(
  message: Message,
  name: string,
  io: FrameExchange,
  deadline: ReturnType<typeof createDeadline>
): AsyncGenerator<unknown> {
  if (message.sends == null) return
  for (;;) {
    const bytes = await io.read({ maxBytes: limitOf(message), signal: deadline.signal })
    if (bytes == null) return
    deadline.putOff()
    yield parse(message.sends, decodeValue(bytes), name)
  }
}

export interface AskInit {
  network: ServiceNetwork
  protocol: string
  messages: Protocol
  signal: AbortSignal
}

/** Asks a peer; see `Peers.open`. */
export function askPeer(
  { network, protocol, messages, signal: stopping }: AskInit,
  peer: string,
  name: string,
  request: unknown,
  { signal, deadlineMs }: AskOptions = {}
): Exchange<unknown, unknown, unknown> {
  const message = Object.hasOwn(messages, name) ? messages[name]! : undefined
  if (message == null) throw new UnknownOperationError(`there is no message "${name}" in ${protocol}`)
  const maxBytes = limitOf(message) + NAME_BYTES
  const what = `${name} at ${peer}`
  const deadline = createDeadline(what, deadlineMs ?? message.deadlineMs ?? DEFAULT_MESSAGE_MS, [
    stopping,
    signal
  ])
  const answer = Promise.withResolvers<unknown>()
  // who only reads the items learns of it there
  answer.promise.catch(() => undefined)
  let stream: Stream | undefined
  const opened = open()
  opened.catch(end)

  async function open(): Promise<FrameExchange> {
    try {
      stream = await network.dialProtocol(peerIdFromString(peer), protocol, {
        signal: deadline.signal,
        maxOutboundStreams: MAX_STREAMS
      })
    } catch (error) {
      deadline.signal.throwIfAborted()
      throw new UnreachableError(`${peer} does not answer ${protocol}: ${(error as Error).message}`)
    }
    const io = exchangeFrames(stream)
    await io.write([Buffer.from(name, 'latin1'), encode(message!.request, request)], deadline)
    if (message!.sends == null) await stream.close({ signal: deadline.signal })
    return io
  }

  function end(error?: Error): void {
    deadline[Symbol.dispose]()
    if (error == null) {
      const last = AbortSignal.timeout(FIRST_MS)
      return void stream?.close({ signal: last }).catch((late: Error) => stream?.abort(late))
    }
    answer.reject(error)
    stream?.abort(error)
  }

  async function* read(): AsyncGenerator<unknown> {
    let isDone = false
    try {
      const io = await opened
      for (;;) {
        const bytes = await io.read({ maxBytes, signal: deadline.signal })
        if (bytes == null) throw new UnreachableError(`${peer} ended ${name} without an answer`)
        const [kind, value] = parse(frame, decodeValue(bytes), what) as [number, unknown]
        if (kind === ERROR) {
          const told = parse(failure, value, what) as z.output<typeof failure>
          throw new PeerError(told.name, told.message)
        }
        if (kind === ANSWER) {
          isDone = true
          answer.resolve(parse(message!.answer, value, what))
          return end()
        }
        if (isLong(message!)) deadline.putOff()
        if (kind !== ITEM || message!.items == null) throw new RequestError(`${what}: what came is no answer`)
        yield parse(message!.items, value, what)
      }
    } catch (error) {
      isDone = true
      end(error as Error)
      throw error
    } finally {
      // who reads no further wants no answer
      if (!isDone) end(new UnreachableError(`${what} was given up`))
    }
  }

  const items = read()
  if (message.items == null) items.next().catch(() => undefined /* the answer has been rejected with it */)
  return {
    items: message.items == null ? none() : items,
    answer: answer.promise,
    async send(value) {
      const io = await opened
      deadline.putOff()
      await io.write([encode(message.sends!, value)], deadline)
    },
    async end() {
      await opened
      await stream!.close({ signal: deadline.signal }).catch((error: Error) => {
        end(error)
        throw error
      })
    }
  }
}

async function* none(): AsyncGenerator<unknown> {}

/** @throws {RequestError} the peer sent what is no such message */
function parse(schema: z.ZodType, value: unknown, what: string): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]!
  throw new RequestError(`${what}: ${path.join('.') || 'it'}: ${message}`)
}
