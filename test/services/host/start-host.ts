import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import pino from 'pino'
import { createIdentity } from '../../../bootstrap/index.ts'
import { rareWindows } from '../../../bootstrap/rare-windows.ts'
import { wholeMessages } from '../../../bootstrap/whole-messages.ts'
import { createSigner, isSignedBy } from '../../../ledger/index.ts'
import { componentLogger } from '../../../node/logger.ts'
import { type Capabilities, loadHost, type ServiceModule, settingsOf } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { patient } from '../../bootstrap/patient.ts'

/** Who announces what, for hosts of one test. */
export function createTestDirectory() {
  const announced = new Map<string, Set<string>>()
  const of = (service: string): Set<string> => {
    const peers = announced.get(service) ?? new Set()
    announced.set(service, peers)
    return peers
  }
  return {
    announced,
    for: (peer: string) => ({
      announce: (service: string): void => void of(service).add(peer),
      withdraw: async (service: string): Promise<void> => void of(service).delete(peer),
      async *find(service: string) {
        for (const other of of(service))
          if (other !== peer) yield { id: peerIdFromString(other), multiaddrs: [] }
      }
    })
  }
}

/** Of a network in which nobody has done or paid anything. */
const EMPTY_LEDGER = { history: () => [], reputation: () => ({ score: 0 }) }

export interface TestHostInit {
  modules: readonly ServiceModule[]
  /** by service; what is not said has its default, but the service is on */
  settings?: Record<string, Record<string, unknown>>
  directory?: ReturnType<typeof createTestDirectory>
  capabilities?: Partial<Capabilities>
  /** default: a new one, removed at the end */
  folder?: string
  /** default: a new one; that of before is the same node again */
  identity?: Awaited<ReturnType<typeof createIdentity>>
  /** gets what is logged */
  lines?: string[]
  /** default: the clock */
  now?: () => number
  /** one of its services never starts: the others are not waited for longer than a node waits */
  hangs?: boolean
}

/** The real host with a real libp2p on loopback; its services run or have failed. */
export async function startHost({
  modules,
  settings = {},
  directory = createTestDirectory(),
  capabilities = {},
  folder,
  identity: given,
  lines,
  now,
  hangs = false
}: TestHostInit) {
  await using started = new AsyncDisposableStack()
  const data = folder ?? (await mkdtemp(join(tmpdir(), 'artel-host-')))
  if (folder == null) started.defer(() => rm(data, { recursive: true, force: true }))
  const identity = given ?? (await createIdentity())
  const libp2p = await createLibp2p({
    privateKey: identity.privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [wholeMessages(noise())],
    streamMuxers: [rareWindows(yamux())],
    ...patient
  })
  started.defer(async () => libp2p.stop())
  const signer = createSigner(identity.privateKey)
  const id = libp2p.peerId.toString()
  const logger = pino(
    { level: lines == null ? 'silent' : 'trace' },
    { write: (line: string) => lines?.push(line) }
  )
  const { createServices } = await loadHost()
  const services = createServices({
    modules,
    folder: join(data, 'services'),
    network: 'test',
    now,
    settings: name => {
      const module = modules.find(each => each.name === name)!
      return settingsOf(module).parse({ enabled: true, ...settings[name] }) as never
    }
  })({
    network: libp2p,
    directory: directory.for(id),
    sign: signer.sign,
    isSigned: isSignedBy,
    isKnown: () => false,
    logger: componentLogger(logger),
    capabilities: { ledger: EMPTY_LEDGER as never, ...capabilities }
  })
  started.defer(() => services.stop())
  await services.start()
  // on a busy machine they may still be at it
  if (!hangs)
    await until(
      () => services.health().every(({ state }) => state !== 'starting'),
      'the services have started'
    )
  const all = started.move()
  return {
    id,
    identity,
    sign: signer.sign,
    libp2p,
    services,
    folder: join(data, 'services'),
    settings,
    /** Makes both know each other. */
    connect: (other: { libp2p: typeof libp2p }) => libp2p.dial(other.libp2p.getMultiaddrs()),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}
