import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { autoNAT } from '@libp2p/autonat'
import { bootstrap } from '@libp2p/bootstrap'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { type GossipSub, gossipsub } from '@libp2p/gossipsub'
import { createTopicScoreParams } from '@libp2p/gossipsub/score'
import { type Identify, type IdentifyPush, identify, identifyPush } from '@libp2p/identify'
import type { ComponentLogger, Metrics, Startable } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import type { Datastore } from 'interface-datastore'
import type { Libp2pOptions } from 'libp2p'
import { createGater } from './gater.ts'
import type { Identity } from './identity.ts'
import { keepGossip } from './keep-gossip.ts'
import { keepRouted } from './keep-routed.ts'
import { meetAgain } from './meet-again.ts'
import { type NetworkDefinition, networkId, peerOf } from './network.ts'
import { networkExchange } from './network-exchange.ts'
import type { PeerBudget } from './peer-budget.ts'
import { rareWindows } from './rare-windows.ts'
import { type SeedKeeper, seedKeeper } from './seeds.ts'
import { DEFAULT_LISTEN, type Limits, limitsSchema } from './settings.ts'
import { createStreamGuard } from './stream-guard.ts'
import { allowTopics, isAllowedTopic, ledgerTopic, offersTopic } from './topics.ts'
import { wholeMessages } from './whole-messages.ts'

/**
 * How long a DHT server believes a provider record. kad-dht's 48 h would show workers that left long ago, and
 * outlives what the peer store knows of a peer (6 h), which makes kad-dht fail the whole answer.
 */
export const PROVIDER_VALIDITY_MS = 30 * 60_000
const PROVIDER_CLEANUP_MS = 5 * 60_000

/** The libraries' 5 and 10 s end streams of honest peers where a busy machine seldom gives a process its turn. */
const NEGOTIATION_MS = 15_000

/** Nothing but the time of a round trip is read from it; libp2p's 10 s are a tenth of what an idle node costs. */
const PING_INTERVAL_MS = 30_000

/** One list of a gossip message; a mesh of ≤ 100 connections never needs more. */
const MAX_RPC_ENTRIES = 500

/** Topics that one peer may occupy here: about 1 KiB each, ledger epochs and offers need a handful. */
const MAX_TOPIC_BYTES_PER_PEER = 64 * 1024

/**
 * Only malformed messages count (P4 of gossipsub's score, squared): who sends three is below the threshold at which
 * we take nothing from it any more (−80) and is forgiven after about a minute.
 */
export const MALFORMED_COSTS = createTopicScoreParams({
  topicWeight: 1,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.97,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0
})

const NO_BYTES = new Uint8Array(0)

export interface ArtelServices {
  [name: string]: unknown
  identify: Identify
  identifyPush: IdentifyPush
  ping: Ping
  dht: KadDHT
  pubsub: GossipSub
  autoNAT: unknown
  dcutr: unknown
  seedKeeper: SeedKeeper
  networkExchange: Startable
  relay?: unknown
}

export interface Libp2pOptionsInit {
  identity: Identity
  network: NetworkDefinition
  /** multiaddrs to listen on; default: loopback, any port */
  listen?: string[]
  /** multiaddrs to tell others instead of those that we listen on, for a node behind a forwarded port */
  announce?: string[]
  /** further seeds beside the definition's */
  seeds?: string[]
  /** find peers of the same network on the local network; default: no, because it tells the LAN that we exist */
  mdns?: boolean
  /** a seed relays for nodes that cannot be reached directly */
  role?: 'seed' | 'node'
  limits?: Limits
  blockedPeers?: string[]
  /** counts who wastes this node's time, and keeps them out; default: everybody may come */
  budget?: Pick<PeerBudget, 'barredMs' | 'waste'>
  /** nobody comes in, and nobody is dialled */
  isShut?: boolean
  version?: string
  metrics?: (components: { logger: ComponentLogger }) => Metrics
  logger?: ComponentLogger
  datastore?: Datastore
}

/** Everything libp2p needs to be a node of one Artel network: transports, protocols, discovery and limits. */
export function libp2pOptions(init: Libp2pOptionsInit): Libp2pOptions<ArtelServices> {
  const { identity, network, listen = DEFAULT_LISTEN } = init
  const limits = init.limits ?? limitsSchema.parse({})
  const id = networkId(network)
  const self = identity.peerId.toString()
  const seeds = [...new Set([...network.seeds, ...(init.seeds ?? [])])].filter(seed => peerOf(seed) !== self)
  const guard = createStreamGuard({
    limits,
    ...(init.budget == null ? {} : { budget: init.budget })
  })
  const isReachable = init.role === 'seed' || listen.every(isLoopback)

  return {
    privateKey: identity.privateKey,
    nodeInfo: { name: 'artel', version: init.version ?? '0', userAgent: `artel/${init.version ?? '0'}` },
    addresses: {
      // who may sit behind a NAT asks a relay for an address
      listen: isReachable ? listen : [...listen, '/p2p-circuit'],
      announce: init.announce ?? []
    },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionProtector: guard.protector(
      network.preSharedKey == null ? undefined : preSharedKey({ psk: swarmKey(network.preSharedKey) })
    ),
    connectionEncrypters: [guard.encrypter(wholeMessages(noise()))],
    streamMuxers: [guard.muxer(rareWindows(yamux()))],
    connectionGater: createGater(
      init.blockedPeers,
      peer => init.isShut === true || (init.budget?.barredMs(peer) ?? 0) > 0
    ),
    connectionManager: {
      maxConnections: limits.maxConnections,
      inboundConnectionThreshold: limits.inboundPerSecond,
      maxIncomingPendingConnections: limits.pendingInbound,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_MS,
      outboundStreamProtocolNegotiationTimeout: NEGOTIATION_MS
    },
    // a busy machine answers late; whoever leases to a peer watches it by its heartbeats. A ping is a stream of its own
    connectionMonitor: { abortConnectionOnPingFailure: false, pingInterval: PING_INTERVAL_MS },
    peerDiscovery: [
      ...(seeds.length > 0 ? [bootstrap({ list: seeds })] : []),
      ...(init.mdns === true
        ? [mdns({ serviceTag: `_artel-${id.slice(-12).toLowerCase()}._udp.local` })]
        : [])
    ],
    ...(init.metrics == null ? {} : { metrics: init.metrics }),
    ...(init.logger == null ? {} : { logger: init.logger }),
    ...(init.datastore == null ? {} : { datastore: init.datastore }),
    services: {
      identify: components => meetAgain(identify({ timeout: NEGOTIATION_MS })(components), components),
      identifyPush: identifyPush({ timeout: NEGOTIATION_MS }),
      ping: ping(),
      dht: components =>
        keepRouted(
          kadDHT({
            protocol: `/artel/${id}/kad/1.0.0`,
            // our peers live on loopback, LANs and behind NATs: private addresses are addresses
            peerInfoMapper: passthroughMapper,
            // stated, because otherwise only a public address makes a server
            clientMode: false,
            // queries wait for the first look around; look sooner than after kad-dht's second
            initialQuerySelfInterval: 200,
            reprovide: { validity: PROVIDER_VALIDITY_MS, interval: PROVIDER_CLEANUP_MS, threshold: 0 }
          })(components),
          components
        ),
      pubsub: components =>
        keepGossip(
          allowTopics(
            gossipsub({
              allowPublishToZeroTopicPeers: true,
              maxInboundDataLength: limits.gossipBytes,
              maxTopicBytesPerPeer: MAX_TOPIC_BYTES_PER_PEER,
              fastMsgIdFn: idOf,
              decodeRpcLimits: {
                maxSubscriptions: MAX_RPC_ENTRIES,
                maxMessages: MAX_RPC_ENTRIES,
                maxIhaveMessageIDs: MAX_RPC_ENTRIES,
                maxIwantMessageIDs: MAX_RPC_ENTRIES,
                maxIdontwantMessageIDs: MAX_RPC_ENTRIES,
                maxControlMessages: MAX_RPC_ENTRIES,
                maxPeerInfos: 16
              },
              scoreParams: {
                // many honest nodes share one address on loopback and behind a NAT
                IPColocationFactorWeight: 0,
                // IWANT that is answered late, GRAFT that comes early: a busy machine does a few of them a second (squared)
                behaviourPenaltyWeight: -0.2,
                topics: { [offersTopic(id)]: MALFORMED_COSTS, [ledgerTopic(id)]: MALFORMED_COSTS }
              }
            })(components),
            topic => isAllowedTopic(id, topic)
          ),
          components
        ),
      autoNAT: autoNAT(),
      dcutr: dcutr(),
      seedKeeper: seedKeeper({ seeds }),
      networkExchange: networkExchange(network),
      ...(init.role === 'seed' ? { relay: circuitRelayServer() } : {})
    }
  }
}

/**
 * Author and number of a gossip message, as in gossipsub's own id. Every message comes from all neighbours in the mesh, and with
 * this its signature is verified the first time only: what could not be verified is never known by it.
 */
function idOf({ from = NO_BYTES, seqno = NO_BYTES }: { from?: Uint8Array; seqno?: Uint8Array }): string {
  return Buffer.concat([from, seqno]).toString('latin1')
}

function isLoopback(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/)/.test(address)
}

function swarmKey(hex: string): Uint8Array {
  return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${hex}`)
}
