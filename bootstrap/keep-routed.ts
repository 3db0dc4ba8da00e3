import type {
  ComponentLogger,
  Connection,
  IdentifyResult,
  Libp2pEvents,
  PeerInfo,
  TypedEventTarget
} from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'

/** As long as kad-dht waits for the answer to its ping. */
const LOOK_MS = 5_000
/** Twice as long each time: who stays outside because his bucket is full costs pings of those who are in it. */
const LAST_LOOK_MS = 5 * 60_000

/** What kad-dht's class has beside its interface; a test holds this against updates. */
interface Inner {
  protocol: string
  routingTable: { find(peer: PeerInfo['id']): Promise<unknown> }
  isStarted(): boolean
  onPeerConnect(peer: PeerInfo): Promise<void>
}

/**
 * Lets every connected peer of the DHT into its routing table. kad-dht pings once whoever was identified: of two nodes that are
 * alone neither finds anything while they are connected, where the answer came late.
 */
export function keepRouted(
  dht: KadDHT,
  { events, logger }: { events: TypedEventTarget<Libp2pEvents>; logger: ComponentLogger }
): KadDHT {
  const inner = dht as unknown as Inner
  const log = logger.forComponent('artel:routed')
  const waiting = new WeakSet<Connection>()
  const waits = new WeakMap<Connection, number>()
  const later = (met: IdentifyResult): void => {
    const { connection, peerId } = met
    if (waiting.has(connection)) return
    waiting.add(connection)
    const ms = waits.get(connection) ?? LOOK_MS
    waits.set(connection, Math.min(2 * ms, LAST_LOOK_MS))
    setTimeout(() => {
      waiting.delete(connection)
      look(met).catch(error => log.error('%p: %e', peerId, error))
    }, ms).unref()
  }
  const look = async (met: IdentifyResult): Promise<void> => {
    const { connection, peerId: id, listenAddrs: multiaddrs } = met
    if (connection.status !== 'open' || !inner.isStarted()) return
    if ((await inner.routingTable.find(id)) != null) return
    await inner.onPeerConnect({ id, multiaddrs })
    later(met)
  }
  events.addEventListener('peer:identify', ({ detail }) => {
    if (detail.protocols.includes(inner.protocol)) later(detail)
  })
  return dht
}
