import type { GossipSub } from '@libp2p/gossipsub'
import type { Connection, PeerId } from '@libp2p/interface'

/** A heartbeat is a second. */
const LOOK_EACH = 5

/** What gossipsub's class has beside its interface; a test holds this against updates. */
interface Inner {
  peers: Map<string, PeerId>
  streamsOutbound: Map<string, unknown>
  createOutboundStream(peer: PeerId, connection: Connection): Promise<void>
}

/**
 * Keeps the stream to every peer of gossip open. Gossipsub tries to open it once: where that takes too long, or the stream is
 * reset later, the peer hears nothing more of us while it is connected. It also opens one after the other, so that a peer
 * who does not answer would hold up what all others hear.
 */
export function keepGossip(pubsub: GossipSub, connectionsTo: (peer: PeerId) => Connection[]): GossipSub {
  const inner = pubsub as unknown as Inner
  const { createOutboundStream } = inner
  const opening = new Set<string>()
  inner.createOutboundStream = async (peer, connection) => {
    const id = peer.toString()
    if (opening.has(id)) return
    opening.add(id)
    // not waited for: the next one's turn
    void createOutboundStream.call(inner, peer, connection).finally(() => opening.delete(id))
  }
  let beats = 0
  pubsub.addEventListener('gossipsub:heartbeat', () => {
    beats += 1
    if (beats % LOOK_EACH !== 0) return
    for (const [id, peer] of inner.peers) {
      if (inner.streamsOutbound.has(id)) continue
      const connection = connectionsTo(peer).find(each => each.status === 'open' && each.limits == null)
      if (connection != null) void inner.createOutboundStream(peer, connection)
    }
  })
  return pubsub
}
