import type { AbortOptions, Connection, PeerId, Stream, StreamHandler, Topology } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** What the scheduler uses of libp2p. */
export interface ComputeNetwork {
  peerId: PeerId
  handle(
    protocol: string,
    handler: StreamHandler,
    options?: { maxInboundStreams?: number; maxOutboundStreams?: number }
  ): Promise<void>
  unhandle(protocol: string): Promise<void>
  register(protocol: string, topology: Topology): Promise<string>
  unregister(id: string): void
  dial(peer: PeerId | Multiaddr, options?: AbortOptions): Promise<Connection>
  dialProtocol(
    peer: PeerId,
    protocol: string,
    options?: AbortOptions & { maxOutboundStreams?: number }
  ): Promise<Stream>
  getConnections(peer?: PeerId): Connection[]
}
