import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { networkId } from '../bootstrap/index.ts'
import { type Gateway, type GatewayNode, loadGateway, type Meeting } from '../services/index.ts'
import { peersOf } from './answer-core.ts'
import type { ArtelNode } from './contract.ts'
import { verdict } from './errors.ts'
import { storageFault } from './examine-data.ts'
import { componentLogger } from './logger.ts'
import { faceOf } from './messenger-face.ts'
import { VERSION } from './version.ts'

const DEFAULT_PORT = 8080
const UI = fileURLToPath(new URL('../services/gateway/ui/dist', import.meta.url))
const PAGE_MB = 4096 / 2 ** 20
/** A browser holds a connection to each. */
const MAX_ADDRESSES = 16
/** Every stranger may ask where nodes are, and the answer takes a look at each of them. */
const MEETING_MS = 10_000

/**
 * The HTTP API and dashboard of a node, started.
 *
 * @throws {ListenError} the port that was asked for is in use
 */
export async function openGateway(node: ArtelNode, logger: Logger): Promise<Gateway> {
  const { createGateway } = await loadGateway()
  const { host, port, origins, serverNames, trustedProxyHosts, volunteers } = node.config.gateway
  const { scheduler, ledger, services } = node
  const gateway = createGateway({
    host,
    port: port ?? DEFAULT_PORT,
    portIsDefault: port == null,
    dataFolder: node.config.data,
    origins,
    serverNames,
    trustedProxyHosts,
    ui: UI,
    volunteers,
    face: faceOf(node.config)
  })({
    scheduler,
    ledger,
    services,
    homes: () => services.api('messenger')?.homes,
    lockers: () => services.api('messenger')?.lockers,
    node: gatewayNode(node),
    verdict,
    explain: error => storageFault(error, node.config.data),
    logger: componentLogger(logger)
  })
  await gateway.start()
  if (port == null && !gateway.url?.endsWith(`:${DEFAULT_PORT}`))
    logger.info(`port ${DEFAULT_PORT} is in use; the dashboard is at ${gateway.url}`)
  if (gateway.faceUrl != null) logger.info(`the messenger is at ${gateway.faceUrl}`)
  return gateway
}

function gatewayNode(node: ArtelNode): GatewayNode {
  const { scheduler, libp2p } = node
  return {
    version: VERSION,
    networkName: node.network.name,
    peers: () => peersOf(node),
    meeting: kept(() => meetingOf(node), MEETING_MS),
    usage: () => ({
      slices: scheduler.workDone().running,
      memoryMb: sandboxMb(process.pid),
      peers: libp2p.getPeers().length,
      workers: scheduler.workers().length
    })
  }
}

/** Asks once for all who come within `ms`; what failed is asked again. */
function kept<T>(ask: () => Promise<T>, ms: number): () => Promise<T> {
  let answer: Promise<T> | undefined
  let askedAt = 0
  return () => {
    const now = performance.now()
    if (answer == null || now - askedAt > ms) {
      askedAt = now
      const asked = ask()
      answer = asked
      asked.catch(() => {
        if (answer === asked) answer = undefined
      })
    }
    return answer
  }
}

/** The network, and where browsers reach this node and the others that it is connected with. */
async function meetingOf({ network, libp2p, addresses }: ArtelNode): Promise<Meeting> {
  const others = await Promise.all(
    libp2p.getPeers().map(async id => {
      const peer = await libp2p.peerStore.get(id).catch(() => undefined) // forgotten since
      return peer?.addresses.map(({ multiaddr }) => `${multiaddr}/p2p/${id}`) ?? []
    })
  )
  const isForBrowsers = (address: string): boolean =>
    /\/wss?\b/.test(address) && !address.includes('/p2p-circuit')
  return {
    network: networkId(network),
    // who does not have the key could not speak to any of them, and a page must not tell it
    addresses:
      network.preSharedKey == null
        ? [...addresses(), ...others.flat()].filter(isForBrowsers).slice(0, MAX_ADDRESSES)
        : []
  }
}

/** Memory of the sandboxes: they are the only children of a node. What they share with it is not counted. Linux only. */
function sandboxMb(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap(task => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean))
      .reduce((sum, child) => sum + ownMb(child) + sandboxMb(Number(child)), 0)
  } catch {
    // it has ended meanwhile, or there is no /proc
    return 0
  }
}

function ownMb(pid: string): number {
  const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number)
  return (resident! - shared!) * PAGE_MB
}
