import type { GossipSub } from '@libp2p/gossipsub'
import type { Connection, PeerId, PeerStore, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'

/** A heartbeat is a second. */
const LOOK_EACH = 5
/** Who took nothing of us for a while has missed our subscriptions, and is told of them once only. */
const TELL_EACH = 60

/** What gossipsub's class has beside its interface; a test holds this against updates. */
interface Inner {
  peers: Map<string, PeerId>
  protocols: string[]
  streamsOutbound: Map<string, { rawStream: Stream }>
  onPeerConnected(peer: PeerId, connection: Connection): void
  createOutboundStream(peer: PeerId, connection: Connection): Promise<void>
  sendSubscriptions(peer: string, topics: string[], subscribe: boolean): void
}

export interface KeepGossipComponents {
  connectionManager: Pick<ConnectionManager, 'getConnections'>
  peerStore: Pick<PeerStore, 'get'>
}

/**
 * Keeps a stream open to every connected peer of gossip. Gossipsub tries to open it once: where that takes too long, or the
 * stream is reset later, the peer hears nothing more of us while it is connected; and where a stream of the peer's fails, it
 * forgets the peer. It also opens one after the other, so that a peer who does not answer would hold up what all others hear.
 */
export function keepGossip(
  pubsub: GossipSub,
  { connectionManager, peerStore }: KeepGossipComponents
): GossipSub {
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
  async function speaksGossip(peer: PeerId): Promise<boolean> {
    const { protocols } = await peerStore.get(peer)
    return protocols.some(each => inner.protocols.includes(each))
  }
  function look(): void {
    for (const connection of connectionManager.getConnections()) {
      if (connection.status !== 'open' || connection.limits != null) continue
      const peer = connection.remotePeer
      const id = peer.toString()
      const stream = inner.streamsOutbound.get(id)
      if (stream != null) {
        if (isRead(stream.rawStream)) continue
        // gossipsub takes it out of its books as it ends, where it has not ended before gossipsub looked
        stream.rawStream.abort(new Error('its peer reads it no more'))
        inner.streamsOutbound.delete(id)
      }
      if (inner.peers.has(id)) void inner.createOutboundStream(peer, connection)
      else
        speaksGossip(peer).then(
          speaks => void (speaks && inner.onPeerConnected(peer, connection)),
          () => undefined // nothing is known of it yet
        )
    }
  }
  let beats = 0
  pubsub.addEventListener('gossipsub:heartbeat', () => {
    beats += 1
    if (beats % LOOK_EACH === 0) look()
    if (beats % TELL_EACH !== 0) return
    for (const id of inner.streamsOutbound.keys()) inner.sendSubscriptions(id, pubsub.getTopics(), true)
  })
  return pubsub
}

/** A peer that has forgotten us closes its end of what we opened; one that closed before gossipsub looked is there for ever. */
const isRead = ({ status, remoteWriteStatus }: Stream): boolean =>
  status === 'open' && remoteWriteStatus === 'writable'
