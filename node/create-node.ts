import { join } from 'node:path'
import type { PeerId } from '@libp2p/interface'
import { setMaxListeners } from 'main-event'
import type { Logger } from 'pino'
import { makeFolder, syncFolder } from '../bootstrap/files.ts'
import {
  barFlooders,
  createPeerBudget,
  loadHelia,
  loadOrCreateIdentity,
  networkId,
  offersTopic
} from '../bootstrap/index.ts'
import { createSigner, isSignedBy, loadLedger } from '../ledger/index.ts'
import { createSandbox } from '../sandbox/index.ts'
import { createPolicy, type Job, loadScheduler, type SubmitOptions } from '../scheduler/index.ts'
import {
  COMPUTE_SERVICE,
  computeOf,
  createDirectory,
  type Directory,
  type Gateway,
  loadHost,
  OWN_GROUPS,
  SERVICES,
  type ServiceModule,
  type ServiceSettings,
  settingsOf
} from '../services/index.ts'
import { answerCore } from './answer-core.ts'
import { barring } from './barring.ts'
import { createLiveConfig } from './config-file.ts'
import type { ArtelNode, NodeRole } from './contract.ts'
import { watchCredits } from './credit-metrics.ts'
import { VERDICTS } from './errors.ts'
import { checkData, explainStorage } from './examine-data.ts'
import { findNetwork, refuseCopy } from './find-network.ts'
import { createLending, policySettings } from './lending.ts'
import { lockFolder } from './lock.ts'
import { componentLogger, createLogger } from './logger.ts'
import { createMetrics } from './metrics.ts'
import { openGateway } from './open-gateway.ts'
import { watchPeers } from './peer-watch.ts'
import type { Config } from './settings.ts'
import { VERSION } from './version.ts'

export interface NodeInit {
  role?: NodeRole
  /** Where no network is known and no seed, found one; default: what a seed does. */
  founds?: boolean
  /** default: as `config` says, to standard error */
  logger?: Logger
  /** where changed settings are kept; default: config.json in the data folder */
  configFile?: string
  /** default: all that there are */
  services?: readonly ServiceModule[]
  /** a release that is tried: nobody comes in or is called, and nothing is answered but how it is */
  isOnTrial?: boolean
  /** see `UpdatesInit` */
  restart?: () => void
  /** aborts the start; a started node is ended by `stop` */
  signal?: AbortSignal
}

/**
 * Starts a node: data folder → identity → network → libp2p and Helia → directory → ledger → sandbox → scheduler →
 * gateway. What was started is ended in reverse order, by `stop` or when a later part does not start.
 *
 * @throws {LockError} the data folder is in use
 * @throws {DataFolderError} a file of it is damaged, missing or out of reach, or its disk is full
 * @throws {KeyInUseError} another process has this node's key
 * @throws {NetworkError} no network definition, or a wrong one
 * @throws {ListenError} an address or port cannot be listened on
 */
export async function createNode(config: Config, init: NodeInit = {}): Promise<ArtelNode> {
  try {
    return await start(config, init)
  } catch (error) {
    throw await explainStorage(error as Error, config.data)
  }
}

async function start(config: Config, init: NodeInit): Promise<ArtelNode> {
  const role = init.role ?? 'node'
  const { announce, mdns, limits, blockedPeers } = config
  const listen = listenFor(config)
  const logger = init.logger ?? createLogger(config)
  const componentLog = componentLogger(logger)
  await using started = new AsyncDisposableStack()
  const stopped = new AbortController()
  const signal = init.signal == null ? stopped.signal : AbortSignal.any([stopped.signal, init.signal])
  setMaxListeners(Number.POSITIVE_INFINITY, stopped.signal, signal)

  await makeFolder(config.data)
  started.defer(lockFolder(config.data))
  await checkData(config.data)
  const identity = await loadOrCreateIdentity(join(config.data, 'key'))
  const { network, seeds } = await findNetwork({
    config,
    founds: init.founds ?? role === 'seed',
    identity,
    logger,
    signal
  })
  await refuseCopy(network, identity, signal)
  const metrics = createMetrics()

  const budget = createPeerBudget({ onBarred: barring(logger, () => libp2p) })
  const [{ createHeliaNode, libp2pOptions, PROVIDER_VALIDITY_MS }, { createLedger }, { createScheduler }] =
    await Promise.all([loadHelia(), loadLedger(), loadScheduler()])
  const heliaNode = started.adopt(
    await createHeliaNode({
      folder: config.data,
      logger: componentLog,
      libp2p: libp2pOptions({
        listen,
        announce,
        seeds,
        mdns,
        limits,
        blockedPeers,
        identity,
        network,
        role,
        budget,
        isShut: init.isOnTrial ?? false,
        version: VERSION,
        logger: componentLog,
        ...(config.metrics ? { metrics: metrics.libp2p } : {})
      })
    }),
    node => node.stop()
  )
  const { helia, libp2p } = heliaNode
  signal.throwIfAborted()
  started.defer(barFlooders(libp2p, budget))
  started.defer(watchPeers(libp2p, logger, network.seeds.length + seeds.length))

  const directory = createDirectory({ validityMs: PROVIDER_VALIDITY_MS })({
    peerId: libp2p.peerId,
    dht: libp2p.services.dht,
    events: libp2p,
    logger: componentLog
  })
  const ledger = createLedger({
    directory: join(config.data, 'ledger'),
    network: {
      id: networkId(network),
      witnesses: network.witnesses,
      grantMicro: BigInt(network.grant.amount),
      grantBits: network.grant.powBits
    },
    privateKey: identity.privateKey,
    // others join from what seeds keep
    archive: role === 'seed'
  })({ libp2p, ipfs: helia, logger: componentLog })
  const failed = Promise.withResolvers<Error>()
  ledger.addEventListener('halt', ({ detail }) => failed.resolve(detail))
  const signer = createSigner(identity.privateKey)
  // who lends nothing has few sessions, one after the other
  const sandbox = createSandbox(config.compute ? {} : { lazy: true, warm: 1 })
  const policy = createPolicy(policySettings(config))
  const scheduler = createScheduler(
    {
      directory: config.data,
      policy,
      delegateFor: config.delegateFor,
      findWorkers: options => workersOf(directory, options),
      offersTopic: offersTopic(networkId(network))
    },
    {
      network: libp2p,
      sandbox,
      ledger,
      signer,
      costs: budget,
      pubsub: libp2p.services.pubsub,
      blocks: helia.blockstore,
      logger: componentLog
    }
  )
  for (const part of [directory, ledger, sandbox, scheduler]) {
    started.defer(() => part.stop())
    await part.start()
    signal.throwIfAborted()
  }
  // the names of all that they have made in it
  await syncFolder(config.data)
  metrics.walls(sandbox.walls)
  if (config.metrics) watchCredits(metrics.registry, ledger)
  if (!sandbox.walled) {
    const missing = sandbox.walls
      .filter(wall => !wall.present)
      .map(({ name, detail }) => `${name} (${detail})`)
    logger.warn(
      `walls of the sandbox are missing: ${missing.join('; ')}. Strangers' code is refused; the owner's own and that of trusted peers runs`
    )
  }
  await heliaNode.meetPeers()
  const live = createLiveConfig(config, init.configFile ?? join(config.data, 'config.json'), changed => {
    policy.update(policySettings(changed))
    // it never rejects: what fails is in the health of the service
    void services.configure()
  })
  async function submit(spec: unknown, options?: SubmitOptions): Promise<Job> {
    await ledger.claimGrant(options)
    return scheduler.submit(spec, options)
  }
  async function submitMany(specs: unknown[], options?: Omit<SubmitOptions, 'delegate'>): Promise<Job> {
    await ledger.claimGrant(options)
    return scheduler.submitMany(specs, options)
  }
  const lending = createLending({ config: live, policy, scheduler, sandbox })
  const compute = computeOf({
    folder: config.data,
    lending,
    webhooks: () => live.current.webhooks,
    sign: signer.sign
  })
  const modules: readonly ServiceModule[] = [compute, ...(init.services ?? SERVICES)]
  const { createServices } = await loadHost()
  const services = createServices({
    modules,
    groups: OWN_GROUPS.filter(({ name }) => name !== compute.name),
    folder: join(config.data, 'services'),
    network: networkId(network),
    isOnTrial: init.isOnTrial ?? false,
    settings(name) {
      const sections = live.current as unknown as Record<string, ServiceSettings>
      const module = modules.find(each => each.name === name)!
      const section = module.isResident ? undefined : sections[name]
      return section ?? (settingsOf(module).parse({ enabled: true }) as ServiceSettings)
    }
  })({
    network: libp2p,
    directory,
    sign: signer.sign,
    isSigned: isSignedBy,
    isKnown: ({ name }) => VERDICTS.has(name),
    logger: componentLog,
    capabilities: {
      jobs: { submit, submitMany },
      scheduler,
      ledger,
      blocks: helia.blockstore,
      sandbox,
      // it comes after the services
      get people() {
        return gateway?.people
      },
      get entries() {
        return gateway?.entries
      }
    }
  })

  // early, so that the first job need not wait for it; `submit` reports why there is none
  ledger.claimGrant({ signal }).catch((error: Error) => {
    if (!signal.aborted) logger.warn(`no grant for this account yet: ${error.message}`)
  })
  let parts: AsyncDisposableStack
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= parts.disposeAsync()
    return stopping
  }
  let gateway: Gateway | undefined
  const node: ArtelNode = {
    id: identity.peerId.toString(),
    role,
    get config() {
      return live.current
    },
    network,
    libp2p,
    helia,
    ledger,
    sandbox,
    scheduler,
    directory,
    services,
    get gateway() {
      return gateway
    },
    registry: metrics.registry,
    addresses: () => libp2p.getMultiaddrs().map(address => address.toString()),
    submit,
    submitMany,
    configure: live.configure,
    ...lending,
    failed: failed.promise,
    stop,
    [Symbol.asyncDispose]: stop
  }
  answerCore(node, stopped.signal, init.restart)
  started.defer(() => services.stop())
  await services.start()
  if (config.gateway.enabled) gateway = started.adopt(await openGateway(node, logger), it => it.stop())
  parts = started.move()
  parts.defer(() => stopped.abort())
  return node
}

/** Browsers dial by WebSocket only. */
function listenFor({ listen, gateway }: Config): string[] {
  const isWanted = gateway.enabled && gateway.volunteers && !listen.some(address => /\/wss?\b/.test(address))
  return isWanted ? [...listen, '/ip4/127.0.0.1/tcp/0/ws'] : [...listen]
}

async function* workersOf(directory: Directory, options: { signal: AbortSignal }): AsyncGenerator<PeerId> {
  for await (const { id } of directory.find(COMPUTE_SERVICE, options)) yield id
}
