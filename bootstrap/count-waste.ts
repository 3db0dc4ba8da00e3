import type { GossipSub } from '@libp2p/gossipsub'
import type { Libp2p, StreamHandler } from '@libp2p/interface'
import type { PeerBudget } from './peer-budget.ts'

/** What a stream counts for that this node had to end: opening, reading and ending it. Honest peers give little reason. */
const ENDED_STREAM_MS = 20
/** A peer that is late has cost nothing but patience, and the machine may be what is slow. */
const LATE = new Set(['TimeoutError', 'AbortError'])
/** Gossipsub takes nothing from a peer below this (its default), but goes on reading what it sends. */
const GRAYLISTED_SCORE = -80
const LOOK_MS = 1_000

/** Counts every stream that a handler of this node ends with an error, whatever the protocol. To be called before any is registered. */
export function countStreams(libp2p: Pick<Libp2p, 'handle'>, budget: Pick<PeerBudget, 'waste'>): void {
  const { handle } = libp2p
  const counted =
    (handler: StreamHandler): StreamHandler =>
    (stream, connection) => {
      stream.addEventListener('close', ({ error, local }) => {
        if (error != null && local && !LATE.has(error.name))
          budget.waste(connection.remotePeer.toString(), ENDED_STREAM_MS)
      })
      return handler(stream, connection)
    }
  libp2p.handle = (protocol, handler, options) => handle.call(libp2p, protocol, counted(handler), options)
}

/** Bars who sends so much malformed gossip that gossipsub listens to it no more. Returns how to end it. */
export function barFlooders(
  libp2p: Pick<Libp2p<{ pubsub: GossipSub }>, 'getPeers' | 'services'>,
  budget: Pick<PeerBudget, 'waste'>
): () => void {
  // its class has it, its interface does not name it
  const pubsub = libp2p.services.pubsub as GossipSub & { getScore(peer: string): number }
  const timer = setInterval(() => {
    for (const peer of libp2p.getPeers()) {
      const id = peer.toString()
      if (pubsub.getScore(id) < GRAYLISTED_SCORE) budget.waste(id, Number.MAX_SAFE_INTEGER)
    }
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
