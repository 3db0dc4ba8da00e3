import type {
  Connection,
  Logger,
  PeerId,
  Stream,
  StreamHandler,
  StreamHandlerOptions
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { LengthPrefixedStream } from '@libp2p/utils'
import { framed } from '../../bootstrap/framing.ts'
import { MalformedError } from '../errors.ts'
import { fromBytes, integer, list, toBytes } from '../records/codec.ts'

/** Room for four segments of the largest size. */
export const MAX_MESSAGE_BYTES = 1536 * 1024
/** Requests of one stream that are worked on at the same time; more wait in the stream. */
const MAX_CONCURRENT = 8
/** Streams of one peer: one for requests in each direction, and one while a broken one ends. */
const MAX_STREAMS = 4
/**
 * After the start, others connect this node. A dial by peer id alone would fail for want of an address, and fail
 * with it the bootstrap's dial of the same peer, because libp2p joins the two.
 */
const DIAL_AFTER_MS = 3_000

export interface ChannelLibp2p {
  readonly peerId: PeerId
  handle(protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void>
  unhandle(protocol: string): Promise<void>
  getConnections(peer: PeerId): unknown[]
  dialProtocol(peer: PeerId, protocol: string, options: { signal: AbortSignal }): Promise<Stream>
}

export interface ChannelInit {
  protocol: string
}

export interface ChannelComponents {
  libp2p: ChannelLibp2p
  log: Logger
  /** Answers a request of a peer (or of this node itself, without connection); a throw ends the stream. */
  serve(peer: string, method: string, body: unknown, connection: Connection | undefined): Promise<unknown>
}

/** Requests and answers over one persistent stream per peer and direction. */
export interface Channel {
  start(): Promise<void>
  stop(): Promise<void>
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  /** One request to the other end of this connection, on a stream of its own. */
  requestOn(
    connection: Connection,
    method: string,
    body: unknown,
    options: { signal: AbortSignal }
  ): Promise<unknown>
}

interface Outgoing {
  stream: Stream
  lp: LengthPrefixedStream
  pending: Map<number, { resolve(body: unknown): void; reject(error: Error): void }>
}

/** Messages are dag-cbor: `[id, method, body]` asks, `[id, body]` answers. */
export const createChannel =
  ({ protocol }: ChannelInit) =>
  ({ libp2p, log, serve }: ChannelComponents): Channel => {
    const outgoing = new Map<string, Promise<Outgoing>>()
    const incoming = new Set<Stream>()
    const stopped = new AbortController()
    let nextId = 0
    let isRunning = false
    let startedAt = 0

    const onStream = async (stream: Stream, connection: Connection): Promise<void> => {
      incoming.add(stream)
      const peer = connection.remotePeer.toString()
      const lp = framed(stream, MAX_MESSAGE_BYTES)
      const working = new Set<Promise<void>>()
      try {
        while (isRunning) {
          const bytes = (await lp.read()).subarray()
          const message = list(fromBytes(bytes, MAX_MESSAGE_BYTES, 'a request'), 'a request', 3)
          const id = integer(message[0], 'id', 0, Number.MAX_SAFE_INTEGER)
          const work = serve(peer, String(message[1]).slice(0, 32), message[2], connection)
            .catch(error => {
              // ours, not the peer's: it would be told nowhere else
              if (isRunning && !(error instanceof MalformedError))
                log.error('a request of %s was not answered: %e', peer, error)
              throw error
            })
            .then(body => lp.write(toBytes([id, body])))
            .catch(error => stream.abort(error as Error))
          working.add(work)
          void work.finally(() => working.delete(work))
          if (working.size >= MAX_CONCURRENT) await Promise.race(working)
        }
      } catch (error) {
        log('stream of %s ended: %s', peer, (error as Error).message)
        stream.abort(error as Error)
      } finally {
        incoming.delete(stream)
      }
    }

    const readAnswers = async (peer: string, { stream, lp, pending }: Outgoing): Promise<void> => {
      try {
        for (;;) {
          const bytes = (await lp.read()).subarray()
          const message = list(fromBytes(bytes, MAX_MESSAGE_BYTES, 'an answer'), 'an answer', 2)
          const waiter = pending.get(message[0] as number)
          pending.delete(message[0] as number)
          waiter?.resolve(message[1])
        }
      } catch (error) {
        outgoing.delete(peer)
        stream.abort(error as Error)
        for (const waiter of pending.values()) waiter.reject(error as Error)
      }
    }

    const open = async (peer: string, signal: AbortSignal): Promise<Outgoing> => {
      const id = peerIdFromString(peer)
      if (libp2p.getConnections(id).length === 0 && performance.now() - startedAt < DIAL_AFTER_MS)
        throw new Error(`not connected to ${peer} yet`)
      const stream = await libp2p.dialProtocol(id, protocol, {
        signal: AbortSignal.any([signal, stopped.signal])
      })
      const connection: Outgoing = {
        stream,
        lp: framed(stream, MAX_MESSAGE_BYTES),
        pending: new Map()
      }
      void readAnswers(peer, connection)
      return connection
    }

    return {
      start: async () => {
        isRunning = true
        startedAt = performance.now()
        await libp2p.handle(protocol, onStream, {
          maxInboundStreams: MAX_STREAMS,
          maxOutboundStreams: MAX_STREAMS
        })
      },
      stop: async () => {
        isRunning = false
        await libp2p.unhandle(protocol)
        const ended = new Error('The ledger stops.')
        for (const stream of incoming) stream.abort(ended)
        stopped.abort(ended)
        for (const opening of outgoing.values()) {
          opening.then(
            ({ stream }) => stream.abort(ended),
            () => undefined // never opened
          )
        }
      },
      requestOn: async (connection, method, body, { signal }) => {
        const stream = await connection.newStream(protocol, { signal })
        try {
          const lp = framed(stream, MAX_MESSAGE_BYTES)
          await lp.write(toBytes([0, method, body]), { signal })
          const bytes = (await lp.read({ signal })).subarray()
          return list(fromBytes(bytes, MAX_MESSAGE_BYTES, 'an answer'), 'an answer', 2)[1]
        } finally {
          stream.abort(new Error('one answer was wanted'))
        }
      },
      request: async (peer, method, body, { signal }) => {
        if (peer === libp2p.peerId.toString()) return serve(peer, method, body, undefined)
        let opening = outgoing.get(peer)
        if (opening == null) {
          opening = open(peer, signal)
          outgoing.set(peer, opening)
          opening.catch(() => outgoing.delete(peer))
        }
        const { lp, pending } = await opening
        const id = nextId++
        return new Promise((resolve, reject) => {
          const onAbort = (): void => {
            pending.delete(id)
            reject(signal.reason as Error)
          }
          signal.addEventListener('abort', onAbort, { once: true })
          const done = (): void => signal.removeEventListener('abort', onAbort)
          pending.set(id, {
            resolve: value => {
              done()
              resolve(value)
            },
            reject: error => {
              done()
              reject(error)
            }
          })
          lp.write(toBytes([id, method, body]), { signal }).catch(error => {
            pending.delete(id)
            done()
            reject(error as Error)
          })
        })
      }
    }
  }
