import { join } from 'node:path'
import { setMaxListeners } from 'main-event'
import type { Logger } from 'pino'
import { makeFolder } from '../bootstrap/files.ts'
import {
  barFlooders,
  createPeerBudget,
  loadBareNode,
  loadOrCreateIdentity,
  type NetworkDefinition,
  networkId
} from '../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../ledger/index.ts'
import {
  createDirectory,
  loadHost,
  SERVICES,
  type ServiceModule,
  type ServiceSettings,
  type Services,
  settingsOf
} from '../services/index.ts'
import { barring } from './barring.ts'
import { ConfigError, VERDICTS } from './errors.ts'
import { findNetwork, refuseCopy } from './find-network.ts'
import { lockFolder } from './lock.ts'
import { componentLogger } from './logger.ts'
import { watchPeers } from './peer-watch.ts'
import type { Config } from './settings.ts'

/** A node beside machines: libp2p and the services that need nothing else. */
export interface DeviceNode {
  readonly id: string
  readonly network: NetworkDefinition
  readonly services: Services
  addresses(): string[]
  stop(): Promise<void>
}

export interface DeviceNodeInit {
  /** Where no network is known and no seed, found one. */
  founds: boolean
  logger: Logger
  signal: AbortSignal
  /** see `NodeInit` */
  isOnTrial?: boolean
  /** default: all that there are */
  services?: readonly ServiceModule[]
}

/** Services that need other services at most: here are no jobs, no ledger, no blocks and no walls. Pure. */
export function modestOf(modules: readonly ServiceModule[]): ServiceModule[] {
  const names = new Set(modules.map(({ name }) => name))
  for (let before = -1; before !== names.size; ) {
    before = names.size
    for (const { name, needs = [] } of modules) if (!needs.every(need => names.has(need))) names.delete(name)
  }
  return modules.filter(({ name }) => names.has(name))
}

/**
 * Starts a node for a small board: it lends and computes nothing, has no account and no HTTP API, and reads no code for
 * that. What was started is ended in reverse order.
 *
 * @throws {ConfigError} a service is on that needs more
 * @throws {LockError} the data folder is in use
 * @throws {NetworkError} no network definition, or a wrong one
 * @throws {ListenError} an address or port cannot be listened on
 */
export async function createDeviceNode(config: Config, init: DeviceNodeInit): Promise<DeviceNode> {
  const { listen, announce, mdns, limits, blockedPeers } = config
  const sections = config as unknown as Record<string, ServiceSettings>
  const modules = modestOf(init.services ?? SERVICES)
  const refused = SERVICES.find(
    ({ name }) => sections[name]?.enabled && !modestOf(SERVICES).some(each => each.name === name)
  )
  if (refused != null)
    throw new ConfigError(
      `${refused.name} needs a whole node; start without --profile device, or with --${refused.name}-enabled false`
    )
  const { logger } = init
  const componentLog = componentLogger(logger)
  await using started = new AsyncDisposableStack()
  const stopped = new AbortController()
  const signal = AbortSignal.any([stopped.signal, init.signal])
  setMaxListeners(Number.POSITIVE_INFINITY, stopped.signal, signal)

  await makeFolder(config.data)
  started.defer(lockFolder(config.data))
  const identity = await loadOrCreateIdentity(join(config.data, 'key'))
  const { network, seeds } = await findNetwork({ config, founds: init.founds, identity, logger, signal })
  await refuseCopy(network, identity, signal)
  const budget = createPeerBudget({ onBarred: barring(logger, () => libp2p) })
  const { createBareNode, libp2pOptions, PROVIDER_VALIDITY_MS } = await loadBareNode()
  const bare = started.adopt(
    await createBareNode({
      folder: config.data,
      libp2p: libp2pOptions({
        ...{ listen, announce, seeds, mdns, limits, blockedPeers, identity, network, budget },
        isShut: init.isOnTrial ?? false,
        logger: componentLog
      })
    }),
    node => node.stop()
  )
  const { libp2p } = bare
  signal.throwIfAborted()
  started.defer(barFlooders(libp2p, budget))
  started.defer(watchPeers(libp2p, logger, network.seeds.length + seeds.length))
  const directory = createDirectory({ validityMs: PROVIDER_VALIDITY_MS })({
    peerId: libp2p.peerId,
    dht: libp2p.services.dht,
    events: libp2p,
    logger: componentLog
  })
  started.defer(() => directory.stop())
  await directory.start()
  const { createServices } = await loadHost()
  const services = createServices({
    modules,
    folder: join(config.data, 'services'),
    network: networkId(network),
    isOnTrial: init.isOnTrial ?? false,
    settings: name =>
      sections[name] ??
      (settingsOf(modules.find(each => each.name === name)!).parse({ enabled: true }) as ServiceSettings)
  })({
    network: libp2p,
    directory,
    sign: createSigner(identity.privateKey).sign,
    isSigned: isSignedBy,
    isKnown: ({ name }) => VERDICTS.has(name),
    logger: componentLog,
    capabilities: {}
  })
  started.defer(() => services.stop())
  await services.start()
  const parts = started.move()
  parts.defer(() => stopped.abort())
  let stopping: Promise<void> | undefined
  return {
    id: identity.peerId.toString(),
    network,
    services,
    addresses: () => libp2p.getMultiaddrs().map(address => address.toString()),
    stop: () => {
      stopping ??= parts.disposeAsync()
      return stopping
    }
  }
}
