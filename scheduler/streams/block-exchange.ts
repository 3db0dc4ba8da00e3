import type { ComponentLogger, Connection, Logger, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { raceSignal } from 'race-signal'
import { Uint8ArrayList } from 'uint8arraylist'
import { frame, readFrames } from '../../bootstrap/framing.ts'
import { type Blocks, CHUNK_BYTES, chunkCid, digestOfBlock, readBlock } from '../data/chunked-data.ts'
import { BlockError, PeerUnreachableError } from '../errors.ts'
import type { ComputeNetwork } from '../protocol/network.ts'

/**
 * Blocks from the peer that asks for work, or from another worker that keeps them. One persistent stream; a request is
 * the 32 bytes of a SHA-256, the answers come in the order of the requests: one byte (1 = here it is, 0 = not here) and
 * the block, behind a varint length.
 */
export const BLOCKS_PROTOCOL = '/artel/blocks/1'

const DIGEST_BYTES = 32
const MAX_ANSWER_BYTES = 1 + CHUNK_BYTES
// Requests under way per peer: 4 MiB cover 40 ms at 100 MB/s. More would keep everything else on the connection waiting,
// and libp2p closes one whose ping is late.
const WINDOW = 4
// Requests that a peer may have waiting here; more is not how this protocol is used.
const MAX_WAITING = 2 * WINDOW
// Blocks read from the store ahead of the one that is sent.
const READ_AHEAD = 4
// A peer that has sent nothing for this long while something is asked, or its stream is opened, is given up: a busy machine
// answers late, and who is given up costs a slice.
const SILENT_MS = 15_000
const READ_TIMEOUT_MS = 10_000
const MAX_STREAMS = 2
// Blocks that were verified and may be asked for again: slices share blocks at their edges, and others replicate them.
const CACHE_BYTES = 128 * 1024 * 1024
// Peers that sent wrong blocks and are not asked again.
const MAX_BANNED = 1000

interface Request {
  digest: Uint8Array
  done: PromiseWithResolvers<Uint8Array>
}

interface Peer {
  waiting: Request[]
  asked: Request[]
  stream?: Stream
  opening: boolean
  silence?: NodeJS.Timeout
}

/** Serves this node's blocks and fetches those of others, verified, each once while it is in the cache. */
export function createBlockExchange(components: {
  network: Pick<ComputeNetwork, 'peerId' | 'handle' | 'unhandle' | 'dialProtocol'>
  blocks?: Blocks
  /** what this node keeps as a worker */
  kept?: { get(digest: Uint8Array): Uint8Array | undefined }
  logger: ComponentLogger
  /** a peer asked for a block that is not here */
  onMissing?: (digest: Uint8Array) => void
}) {
  const { network, blocks, kept, onMissing } = components
  const log: Logger = components.logger.forComponent('artel:blocks')
  const own = network.peerId.toString()
  const peers = new Map<string, Peer>()
  const banned = new Set<string>()
  const cache = createCache(CACHE_BYTES)
  /** blocks on their way, by peer and digest */
  const coming = new Map<string, Promise<Uint8Array>>()
  const controller = new AbortController()

  // ---- fetching ----

  function fetch(id: string, digest: Uint8Array): Promise<Uint8Array> {
    const name = nameOf(digest)
    const cached = cache.get(name)
    if (cached != null) return Promise.resolve(cached)
    if (id === own) return local(digest)
    if (banned.has(id))
      return Promise.reject(new BlockError(`${id} sent a wrong block before and is not asked again`))
    const key = `${id} ${name}`
    const before = coming.get(key)
    if (before != null) return before
    const done = Promise.withResolvers<Uint8Array>()
    coming.set(key, done.promise)
    const forget = (): void => void coming.delete(key)
    done.promise.then(forget, forget)
    const peer = peers.get(id) ?? { waiting: [], asked: [], opening: false }
    peers.set(id, peer)
    peer.waiting.push({ digest, done })
    if (peer.stream == null) void open(id, peer)
    else pump(id, peer)
    return done.promise
  }

  async function local(digest: Uint8Array): Promise<Uint8Array> {
    const own = kept?.get(digest)
    if (own != null) return own
    if (blocks == null) throw new BlockError('this node has no block store')
    const block = await readBlock(blocks, chunkCid(digest), { signal: deadline(READ_TIMEOUT_MS) })
    if (!isRight(block, digest)) throw new BlockError(`block ${chunkCid(digest)} is damaged on this disk`)
    cache.put(nameOf(digest), block)
    return block
  }

  async function open(id: string, peer: Peer): Promise<void> {
    if (peer.opening) return
    peer.opening = true
    try {
      const stream = await network.dialProtocol(peerIdFromString(id), BLOCKS_PROTOCOL, {
        signal: deadline(SILENT_MS),
        maxOutboundStreams: MAX_STREAMS
      })
      peer.stream = stream
      receive(id, peer, stream)
      pump(id, peer)
    } catch (err) {
      lose(id, peer, new PeerUnreachableError(`${id} cannot be asked for blocks: ${(err as Error).message}`))
    } finally {
      peer.opening = false
    }
  }

  function receive(id: string, peer: Peer, stream: Stream): void {
    readFrames(stream, {
      maxBytes: MAX_ANSWER_BYTES,
      onFrame(answer) {
        const request = peer.asked.shift()
        if (request == null) throw new BlockError(`${id} sent a block that nobody asked for`)
        const { digest, done } = request
        if (answer[0] !== 1) done.reject(new BlockError(`${id} does not have block ${chunkCid(digest)}`))
        else {
          const block = answer.subarray(1)
          if (!isRight(block, digest)) {
            ban(id)
            const error = new BlockError(`${id} sent a wrong block for ${chunkCid(digest)}`)
            done.reject(error)
            throw error
          }
          cache.put(nameOf(digest), block)
          done.resolve(block)
        }
        pump(id, peer)
      },
      onEnd: error => lose(id, peer, new BlockError(`${id} sends no more blocks: ${reasonOf(error)}`))
    })
  }

  function ban(id: string): void {
    if (banned.size >= MAX_BANNED) banned.delete(banned.values().next().value as string)
    banned.add(id)
    log.error('%s sent a wrong block and is not asked for others', id)
  }

  function pump(id: string, peer: Peer): void {
    const { stream } = peer
    if (stream == null) return
    const next = peer.waiting.splice(0, WINDOW - peer.asked.length)
    peer.asked.push(...next)
    clearTimeout(peer.silence)
    if (peer.asked.length > 0)
      peer.silence = setTimeout(() => stream.abort(new BlockError(`silent for ${SILENT_MS} ms`)), SILENT_MS)
    try {
      // a few hundred bytes: less than any window of the stream
      for (const { digest } of next) stream.send(frame(digest, DIGEST_BYTES))
    } catch (err) {
      lose(id, peer, err as Error)
    }
  }

  function lose(id: string, peer: Peer, error: Error): void {
    clearTimeout(peer.silence)
    if (peers.get(id) === peer) peers.delete(id)
    peer.stream?.abort(error)
    for (const { done } of [...peer.asked.splice(0), ...peer.waiting.splice(0)]) done.reject(error)
  }

  const deadline = (ms: number): AbortSignal => AbortSignal.any([controller.signal, AbortSignal.timeout(ms)])

  // ---- serving ----

  const serve: StreamHandler = (stream: Stream, connection: Connection) => {
    const asked: Promise<Uint8Array | undefined>[] = []
    const waiting: Uint8Array[] = []
    let sending = false
    const fill = (): void => {
      while (asked.length < READ_AHEAD && waiting.length > 0) asked.push(find(waiting.shift()!))
    }
    const send = async (): Promise<void> => {
      if (sending) return
      sending = true
      try {
        for (fill(); asked.length > 0; fill()) {
          const block = await asked.shift()
          const answer = new Uint8ArrayList(Uint8Array.of(block == null ? 0 : 1), block ?? new Uint8Array())
          if (!stream.send(frame(answer, MAX_ANSWER_BYTES)))
            await stream.onDrain({ signal: controller.signal })
        }
      } catch (err) {
        stream.abort(err as Error)
      }
      sending = false
    }
    readFrames(stream, {
      maxBytes: DIGEST_BYTES,
      onFrame(digest) {
        if (digest.length !== DIGEST_BYTES) throw new BlockError(`a request of ${digest.length} bytes`)
        if (waiting.length >= MAX_WAITING) throw new BlockError(`more than ${MAX_WAITING} requests at once`)
        waiting.push(digest.slice())
        void send()
      },
      onEnd(error) {
        log('%p asks for no more blocks: %s', connection.remotePeer, reasonOf(error))
        waiting.length = 0
      }
    })
  }

  /** From this node's own store, never from the network: a peer's request must not make this node ask others. */
  async function find(digest: Uint8Array): Promise<Uint8Array | undefined> {
    const own = kept?.get(digest)
    if (own != null) return own
    const cid = chunkCid(digest)
    try {
      if (blocks != null && (await blocks.has(cid))) {
        const block = await readBlock(blocks, cid, { signal: deadline(READ_TIMEOUT_MS) })
        if (block.length <= CHUNK_BYTES) return block
      }
    } catch (err) {
      log.error('block %c cannot be read: %e', cid, err)
    }
    onMissing?.(digest)
    return undefined
  }

  return {
    /** One block of a peer (or of this node), verified. Throws BlockError. */
    get(peer: string, digest: Uint8Array, options?: { signal?: AbortSignal }): Promise<Uint8Array> {
      return raceSignal(fetch(peer, digest), options?.signal)
    },

    async start(): Promise<void> {
      await network.handle(BLOCKS_PROTOCOL, serve, {
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: MAX_STREAMS
      })
    },

    async stop(): Promise<void> {
      controller.abort(new BlockError('this node stops'))
      await network.unhandle(BLOCKS_PROTOCOL)
      for (const [id, peer] of peers) lose(id, peer, new BlockError('this node stops'))
    }
  }
}

export type BlockExchange = ReturnType<typeof createBlockExchange>

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64url')

const reasonOf = (error?: Error): string => error?.message ?? 'the stream was closed'

const isRight = (block: Uint8Array, digest: Uint8Array): boolean =>
  Buffer.compare(digestOfBlock(block), digest) === 0

/** Blocks by name up to a number of bytes; the one that was not asked for the longest goes first. */
function createCache(maxBytes: number) {
  const kept = new Map<string, Uint8Array>()
  let bytes = 0
  return {
    get(name: string): Uint8Array | undefined {
      const block = kept.get(name)
      if (block == null) return
      kept.delete(name)
      kept.set(name, block)
      return block
    },
    put(name: string, block: Uint8Array): void {
      if (kept.has(name)) return
      kept.set(name, block)
      bytes += block.length
      for (const [oldest, { length }] of kept) {
        if (bytes <= maxBytes) return
        kept.delete(oldest)
        bytes -= length
      }
    }
  }
}
