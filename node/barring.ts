import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Logger } from 'pino'

/** What a node does with a peer that wastes its time: says so, and ends its connections. */
export function barring(logger: Logger, libp2p: () => Pick<Libp2p, 'getConnections'>) {
  return (peer: string, ms: number): void => {
    logger.warn(`${peer} wastes this node's time: disconnected, and not let in for ${ms / 1000} s`)
    // a graceful end would let it go on; not within the handler of its message, which still uses the connection
    setImmediate(() => {
      for (const connection of libp2p().getConnections(peerIdFromString(peer)))
        connection.abort(new Error(`barred for ${ms / 1000} s`))
    })
  }
}
