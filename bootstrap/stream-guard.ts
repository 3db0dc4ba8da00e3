import type {
  ConnectionEncrypter,
  ConnectionProtector,
  MessageStream,
  MessageStreamDirection,
  SecuredConnection,
  Stream,
  StreamMuxer,
  StreamMuxerFactory
} from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { type FrameRule, followFrames } from './follow-frames.ts'
import { followMux } from './follow-mux.ts'
import { FramingError } from './framing.ts'
import { type LibraryRule, negotiation, ruleOf } from './library-rules.ts'
import type { PeerBudget } from './peer-budget.ts'
import { followFields } from './protobuf-fields.ts'

/** What a stream counts for that does not keep to its framing: honest peers open none. */
const BROKEN_STREAM_MS = 200
/** … that this node had to end for another reason: opening and ending it. Honest peers give little of it. */
const ENDED_STREAM_MS = 20
/** … that the peer took back. */
const RESET_STREAM_MS = 1
/** … and reading what came over it, up to so many bytes: where more came, most of it will have been of use. */
const MS_PER_BYTE = 20 / 2 ** 20
const MAX_LOST_BYTES = 4 * 2 ** 20
/** … and less where the peer may have its reasons: who cancels a job takes back a hundred uploads at once. */
const MAX_BLAMELESS_BYTES = 2 ** 18
/** Honest peers are late, and close the streams of their questions while a library still waits for the next. */
const BLAMELESS = new Set(['TimeoutError', 'AbortError', 'UnexpectedEOFError'])
/** What one connection may bring to one library: each costs it microseconds, a million of them seconds. */
const MESSAGES = { what: 'messages', burst: 5_000, perSecond: 2_000 }
/** What one connection may name before it has streams: honest peers name two or three. */
const NAMES = { what: 'names', burst: 20, perSecond: 1 }
const FIELDS = { what: 'fields of messages', burst: 10_000, perSecond: 20_000 }

export interface StreamGuardInit {
  limits: { gossipBytes: number }
  budget?: Pick<PeerBudget, 'waste'>
}

/**
 * Stands before everything that reads bytes of peers, at every layer where a length is read: the connection, what is encrypted in
 * it, and each stream from the first byte on. Who does not keep to the framing is cut off before a library sees it, and it counts
 * as waste.
 */
export function createStreamGuard({ limits, budget }: StreamGuardInit) {
  const peers = new WeakMap<MessageStream, string>()

  function secured<Extension>(result: SecuredConnection<Extension>): SecuredConnection<Extension> {
    const { connection, remotePeer, streamMuxer } = result
    const peer = remotePeer.toString()
    peers.set(connection, peer)
    // where the handshake has agreed on a muxer, its frames follow at once
    if (streamMuxer != null) return result
    connection.addEventListener('close', ({ error }) => {
      if (error instanceof FramingError) budget?.waste(peer, BROKEN_STREAM_MS)
    })
    check(connection, negotiation(endAt('/yamux/1.0.0'), createCounts()('', NAMES)))
    return result
  }

  return {
    /** For `connectionProtector`; `create`: that of a private network. */
    protector:
      (create?: () => ConnectionProtector): (() => ConnectionProtector) =>
      () => ({
        async protect(connection, options) {
          const inner = create == null ? connection : await create().protect(connection, options)
          check(inner, negotiation(endAt('/noise'), createCounts()('', NAMES)))
          return inner
        }
      }),

    encrypter:
      <Components, Extension>(create: (components: Components) => ConnectionEncrypter<Extension>) =>
      (components: Components): ConnectionEncrypter<Extension> => {
        const encrypter = create(components)
        const { secureInbound, secureOutbound } = encrypter
        encrypter.secureInbound = async (...args) => secured(await secureInbound.apply(encrypter, args))
        encrypter.secureOutbound = async (...args) => secured(await secureOutbound.apply(encrypter, args))
        return encrypter
      },

    muxer:
      <Components extends { registrar: { getProtocols(): string[] } }>(
        create: (components: Components) => StreamMuxerFactory
      ) =>
      (components: Components): StreamMuxerFactory => {
        const factory = create(components)
        const { createStreamMuxer } = factory
        factory.createStreamMuxer = connection => {
          const muxer = createStreamMuxer.call(factory, connection) as YamuxMuxer
          const { createStream, onRemoteStream, onData, sendFrame } = muxer
          const peer = peers.get(connection)
          const waste = (ms: number): void => {
            if (peer != null) budget?.waste(peer, ms)
          }
          const count = createCounts()
          const rule = (protocol: string, direction: MessageStreamDirection): FrameRule | undefined => {
            const found = ruleOf(protocol, direction, limits)
            return found && counted(found, count(protocol, MESSAGES), count(protocol, FIELDS))
          }
          const names = count('', MESSAGES)
          const mux = followMux({
            windowOf: id => muxer.streams.find(({ streamId }) => streamId === id)?.recvWindowCapacity,
            pass: bytes => onData.call(muxer, bytes),
            waste
          })
          muxer.onData = data => {
            try {
              mux.take(data)
            } catch (error) {
              // the library ends the connection
              waste(BROKEN_STREAM_MS)
              throw error
            }
          }
          muxer.sendFrame = (frame, data) => {
            if (data != null) mux.sent(data.byteLength)
            return sendFrame.call(muxer, frame, data)
          }
          muxer.createStream = async options => {
            mux.opened()
            const stream = await createStream.call(muxer, options)
            check(stream, negotiation(answered(rule, options?.protocol), names))
            stream.addEventListener('close', ({ error }) => {
              if (error instanceof FramingError) waste(BROKEN_STREAM_MS)
            })
            return stream
          }
          muxer.onRemoteStream = stream => {
            mux.opened()
            const isOurs = (name: string): boolean => components.registrar.getProtocols().includes(name)
            const received = check(
              stream,
              negotiation(name => (isOurs(name) ? rule(name, 'inbound') : null), names)
            )
            stream.addEventListener('close', ({ error, local }) => {
              if (error != null) waste(costOf(error, local === true, received()))
            })
            onRemoteStream.call(muxer, stream)
          }
          return muxer
        }
        return factory
      }
  }
}

/** What yamux has beside the interface of a muxer: its way in and out, and each stream before its first bytes. */
interface YamuxMuxer extends StreamMuxer {
  streams: (Stream & { streamId: number; recvWindowCapacity: number })[]
  onData(data: Uint8Array | Uint8ArrayList): void
  sendFrame(header: object, data?: Uint8ArrayList): boolean
  onRemoteStream(stream: Stream): void
}

/** What streams of libp2p have beside their interface: the one way in for bytes, and those that wait for a reader. */
interface IncomingStream extends MessageStream {
  onData(data: Uint8Array | Uint8ArrayList): void
  readBuffer: Uint8ArrayList
}

const endAt =
  (protocol: string) =>
  (name: string): undefined | null =>
    name === protocol ? undefined : null

/**
 * What an answer agrees on: nothing but what was offered, as the library goes on behind any other name. Where several were,
 * it is not known here which: only a protocol that has limits from its first to its last byte.
 */
const answered =
  (rule: (name: string, direction: MessageStreamDirection) => FrameRule | undefined, offered?: string) =>
  (name: string): FrameRule | undefined | null => {
    if (offered != null) return name === offered ? rule(name, 'outbound') : null
    const found = rule(name, 'outbound')
    return found == null || found.next != null || found.fixedBytes != null ? null : found
  }

/** ms that a stream wasted which ended with an error. */
function costOf(error: Error, isLocal: boolean, bytes: number): number {
  if (error instanceof FramingError) return BROKEN_STREAM_MS
  const lost = (most: number): number => Math.min(bytes, most) * MS_PER_BYTE
  if (BLAMELESS.has(error.name)) return lost(MAX_BLAMELESS_BYTES)
  return isLocal ? lost(MAX_LOST_BYTES) + ENDED_STREAM_MS : lost(MAX_BLAMELESS_BYTES) + RESET_STREAM_MS
}

/**
 * Lets bytes into a stream as long as they keep to the rule, and ends it with the first that do not. Returns how many came.
 */
function check(stream: MessageStream, rule: FrameRule | undefined): () => number {
  const incoming = stream as IncomingStream
  const { onData } = incoming
  const follow = followFrames(rule)
  let bytes = 0
  const isGood = (data: Uint8Array | Uint8ArrayList): boolean => {
    bytes += data.byteLength
    try {
      follow(data)
      return true
    } catch (error) {
      stream.abort(error as Error)
      return false
    }
  }
  incoming.onData = data => {
    if (isGood(data)) onData.call(stream, data)
  }
  // what came before anybody could look at it
  if (incoming.readBuffer.byteLength > 0) isGood(incoming.readBuffer)
  return () => bytes
}

/** Counts what one connection brings over each protocol, and throws FramingError where it is too much. */
function createCounts(): (protocol: string, most: typeof MESSAGES) => () => void {
  const allowances = new Map<string, { left: number; at: number }>()
  return (protocol, { what, burst, perSecond }) => {
    const allowance = allowances.get(what + protocol) ?? { left: burst, at: performance.now() }
    allowances.set(what + protocol, allowance)
    return () => {
      const now = performance.now()
      allowance.left = Math.min(burst, allowance.left + ((now - allowance.at) * perSecond) / 1000) - 1
      allowance.at = now
      if (allowance.left < 0) throw new FramingError(`more than ${perSecond} ${what} a second`)
    }
  }
}

/** The rule with all that it counts. */
function counted(rule: LibraryRule, onMessage: () => void, onField: () => void): FrameRule {
  const { nestedField } = rule
  if (nestedField == null) return { ...rule, onLength: onMessage }
  const fields = followFields({ nested: nestedField, onField })
  return {
    ...rule,
    onLength() {
      onMessage()
      fields.begin()
    },
    onBytes: fields.take
  }
}
