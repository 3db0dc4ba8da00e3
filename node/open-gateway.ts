import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { type Gateway, type GatewayNode, loadGateway } from '../services/index.ts'
import { settingsTable } from './config.ts'
import type { ArtelNode } from './contract.ts'
import { verdict } from './errors.ts'
import { storageFault } from './examine-data.ts'
import { componentLogger } from './logger.ts'
import { metricsOf } from './metrics.ts'
import { createOperations } from './operations.ts'

const DEFAULT_PORT = 8080
const UI = fileURLToPath(new URL('../services/gateway/ui/dist', import.meta.url))
const PAGE_MB = 4096 / 2 ** 20

/**
 * The HTTP API and dashboard of a node, started.
 *
 * @throws {ListenError} the port that was asked for is in use
 */
export async function openGateway(node: ArtelNode, logger: Logger): Promise<Gateway> {
  const { createGateway } = await loadGateway()
  const { host, port, origins, serverNames, trustedProxyHosts } = node.config.gateway
  const { scheduler, ledger, directory, registry, services } = node
  const gateway = createGateway({
    host,
    port: port ?? DEFAULT_PORT,
    portIsDefault: port == null,
    dataFolder: node.config.data,
    origins,
    serverNames,
    trustedProxyHosts,
    ui: UI
  })({
    scheduler,
    ledger,
    directory,
    services,
    node: gatewayNode(node),
    metrics: { contentType: registry.contentType, metrics: () => metricsOf(node) },
    verdict,
    explain: error => storageFault(error, node.config.data),
    logger: componentLogger(logger)
  })
  await gateway.start()
  if (port == null && !gateway.url?.endsWith(`:${DEFAULT_PORT}`))
    logger.info(`port ${DEFAULT_PORT} is in use; the dashboard is at ${gateway.url}`)
  return gateway
}

function gatewayNode(node: ArtelNode): GatewayNode {
  const { status, peers } = createOperations(node)
  const { submit, submitMany, configure, contribution, contribute, scheduler, ledger } = node
  return {
    submit,
    submitMany,
    status,
    peers,
    network: { name: node.network.name, witnesses: node.network.witnesses },
    usage: () => ({ slices: scheduler.workDone().running, memoryMb: sandboxMb(process.pid) }),
    config: () =>
      settingsTable(node.config).map(({ setting, value }) => ({
        setting: setting.path.join('.'),
        value,
        default: setting.default,
        description: setting.description,
        live: setting.live
      })),
    configure,
    contribution,
    contribute,
    unready: () => [
      ...(ledger.balance().available > 0n ? [] : ['no credits: none are granted yet, or all are spent']),
      ...(scheduler.workers().length > 0 ? [] : ['no worker is known, and this node lends nothing itself'])
    ]
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
