import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadHelia, loadNetwork, loadOrCreateIdentity, networkId } from '../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../ledger/index.ts'
import { createSandbox } from '../../sandbox/index.ts'
import {
  type Bytes,
  createDirectory,
  devices,
  files,
  hostMetrics,
  loadHost,
  messenger,
  OWNER,
  sas,
  settingsOf,
  tv,
  vm,
  watch
} from '../../services/index.ts'
import { componentLogger, createLogger } from '../logger.ts'
import { lyingSandbox } from './liar.ts'
import { digest, seeded } from './seeded.ts'
import type { ServiceName } from './service-network.ts'
import { valve } from './valve.ts'

/*
 * A node with nothing but one service and its drivers, as a process of its own. Its parent sends { id, operation, input } and gets
 * { id, progress } any number of times, then { id, result } or { id, error }.
 */

const [folder, networkFile, seed, settings, service] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  ServiceName
]
const modules = {
  files: [files],
  vm: [vm],
  devices: [devices, hostMetrics, sas, valve],
  tv: [tv, devices, files],
  messenger: [messenger],
  watch: [watch]
}[service]
/** a driver runs where there are settings for it; who lies says of pages what does not stand there */
const {
  drivers = {},
  lies = false,
  ...own
} = JSON.parse(settings) as {
  drivers?: Record<string, object>
  lies?: boolean
}

const logger = componentLogger(createLogger({ logLevel: 'warn', logFormat: 'json' } as never))
const identity = await loadOrCreateIdentity(join(folder, 'key'))
const network = await loadNetwork(networkFile)
const { createHeliaNode, libp2pOptions, PROVIDER_VALIDITY_MS } = await loadHelia()
const { libp2p, stop } = await createHeliaNode({
  folder,
  libp2p: libp2pOptions({ identity, network, seeds: seed === '' ? [] : [seed], logger })
})
const directory = createDirectory({ validityMs: PROVIDER_VALIDITY_MS })({
  peerId: libp2p.peerId,
  dht: libp2p.services.dht,
  events: libp2p,
  logger
})
directory.start()
// no process of it runs before somebody needs walls
const honest = createSandbox({ warm: 1, lazy: true })
const sandbox = lies ? lyingSandbox(honest) : honest
await sandbox.start()
const { createServices } = await loadHost()
const services = createServices({
  modules,
  folder: join(folder, 'services'),
  network: networkId(network),
  settings(name) {
    const section = name === service ? own : drivers[name]
    const module = modules.find(each => each.name === name)!
    return settingsOf(module).parse({ enabled: section != null, ...section }) as never
  }
})({
  network: libp2p,
  directory,
  sign: createSigner(identity.privateKey).sign,
  isSigned: isSignedBy,
  isKnown: () => false,
  logger,
  // nobody has done or paid anything
  capabilities: { ledger: { history: () => [], reputation: () => ({ score: 0 }) } as never, sandbox }
})
await services.start()

interface Asked {
  id: number
  operation: string
  input: Record<string, unknown>
}

/** Beside the operations: what a demo or test wants of a whole process. */
const besides: Record<string, (input: never, signal: AbortSignal) => unknown> = {
  rss: () => process.memoryUsage.rss(),
  /** user and system, µs */
  cpu: () => process.cpuUsage(),
  health: () => services.health(),
  /** an operation of a driver, or of what the service needs */
  beside: ({ service: name, operation, input }: { service: string; operation: string; input: never }) =>
    services.call(name, operation, input, { caller: OWNER }),
  /** an operation in the middle of which it is killed: once so many bytes are done */
  killed: ({ operation, input, at }: { operation: string; input: never; at: number }) =>
    services.call(service, operation, input, {
      caller: OWNER,
      send(progress) {
        if ((progress as { done: number }).done > at) process.kill(process.pid, 'SIGKILL')
      }
    }),
  /** no cable any more */
  alone: () => libp2p.stop(),
  /** SHA-256 of what a download gives */
  async digest(input) {
    const { chunks } = (await services.call('files', 'download', input, { caller: OWNER })) as Bytes
    return digest(chunks)
  },
  /** uploads bytes made of a seed */
  seeded: ({ seed, bytes, ...input }: { seed: string; bytes: number }) =>
    services.call('files', 'upload', input, { caller: OWNER, body: seeded(seed, bytes) })
}

async function answer({ id, operation, input }: Asked): Promise<void> {
  try {
    const result = await (besides[operation]?.(input as never, AbortSignal.timeout(1e6)) ??
      services.call(service, operation, input, {
        caller: OWNER,
        send: (progress: unknown) => void process.send!({ id, progress })
      }))
    process.send!({ id, result })
  } catch (error) {
    const { name, message } = error as Error
    process.send!({ id, error: { name, message } })
  }
}
process.on('message', message => void answer(message as Asked))
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', async () => {
  await services.stop()
  await sandbox.stop()
  await directory.stop()
  await stop()
  process.exit(0)
})
// whoever asks at once is not told to come again
while (services.health().some(({ state }) => state === 'starting')) await delay(20)
process.send!({ ready: { id: libp2p.peerId.toString(), address: libp2p.getMultiaddrs()[0]!.toString() } })
