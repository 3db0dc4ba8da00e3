import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { replaceFile } from '../bootstrap/files.ts'
import {
  createNetwork,
  fetchNetwork,
  type Identity,
  loadNetwork,
  loadOrCreateIdentity,
  type NetworkDefinition,
  NetworkError,
  networkId,
  peerOf,
  saveNetwork,
  verifyNetwork
} from '../bootstrap/index.ts'
import { KeyInUseError } from '../ledger/index.ts'
import type { Config } from './settings.ts'

const SHIPPED = fileURLToPath(new URL('../bootstrap/network.json', import.meta.url))
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 15_000
/** Of silence where nobody else should be; who is there may be slow. */
const OWN_ADDRESS_MS = 5_000

export interface FindNetworkInit {
  config: Config
  /** Where no network is known and no seed, found one. */
  founds: boolean
  identity: Identity
  logger: Logger
  signal: AbortSignal
}

export interface FoundNetwork {
  network: NetworkDefinition
  /** seeds that were asked for the definition, now or at an earlier start; the definition may name none */
  seeds: string[]
}

/**
 * Nobody else can be there to work for this node: it belongs to no network yet and is told of none, or to one that it
 * founded and of which it is the only witness.
 */
export async function isAlone({ data, network, seeds }: Config): Promise<boolean> {
  if (network != null || seeds.length > 0 || existsSync(join(data, 'seeds.json'))) return false
  const kept = join(data, 'network.json')
  if (!existsSync(kept)) return !existsSync(SHIPPED)
  const [{ witnesses }, { peerId }] = await Promise.all([
    loadNetwork(kept),
    loadOrCreateIdentity(join(data, 'key'))
  ])
  return witnesses.length === 1 && witnesses[0] === peerId.toString()
}

/**
 * Which network this node belongs to, in this order: the file that was named, the definition in the data folder,
 * the one that came with the program, what a seed says (asked until one answers), a new one of its own
 * with `founds`. The answer is kept in the data folder.
 *
 * @throws {NetworkError} there is no definition and no seed to ask, or it is another network than before
 */
export async function findNetwork(init: FindNetworkInit): Promise<FoundNetwork> {
  const { config, founds, identity } = init
  const kept = join(config.data, 'network.json')
  const seedFile = join(config.data, 'seeds.json')
  const previous = existsSync(kept) ? await loadNetwork(kept) : undefined
  const remembered = existsSync(seedFile) ? (JSON.parse(await readFile(seedFile, 'utf8')) as string[]) : []
  const seeds = [...new Set([...config.seeds, ...remembered])]
  const isOwn = previous?.founder === identity.peerId.toString()
  if (config.network == null && previous != null) {
    // who founded one alone and now names a seed, wants to leave it for another
    if (isOwn && previous.seeds.length === 0 && config.seeds.length > 0) await expectSame(previous)
    return { network: previous, seeds }
  }
  const network = await verifyNetwork(await find(), previous == null ? {} : { previous })
  await saveNetwork(kept, network)
  return { network, seeds }

  async function expectSame(own: NetworkDefinition): Promise<void> {
    const other = await askSeeds(init)
    if (networkId(other) === networkId(own)) return
    throw new NetworkError(
      `${config.data} belongs to ${networkId(own)}, which this node founded; to join ${networkId(other)} choose another folder with --data`
    )
  }

  async function find(): Promise<NetworkDefinition> {
    if (config.network != null) return loadNetwork(config.network)
    if (existsSync(SHIPPED)) return loadNetwork(SHIPPED)
    if (config.seeds.length > 0) {
      const answer = await askSeeds(init)
      await replaceFile(seedFile, Buffer.from(JSON.stringify(config.seeds)), 0o600)
      return answer
    }
    if (founds) return createNetwork({ name: 'local', seeds: addressesOf(init) }, identity.privateKey)
    throw new NetworkError(
      'this node knows no network; join one with --seed ADDRESS or --network FILE, or found one with: artel seed'
    )
  }
}

/**
 * A copy of a seed's folder has nobody to ask but the seed itself: who answers as this node at an address that the
 * definition gives for it, before this process listens anywhere, is another process with its key.
 *
 * @throws {KeyInUseError}
 */
export async function refuseCopy(
  network: NetworkDefinition,
  { peerId }: Identity,
  signal: AbortSignal
): Promise<void> {
  const own = network.seeds.filter(address => peerOf(address) === peerId.toString())
  const limit = AbortSignal.any([signal, AbortSignal.timeout(OWN_ADDRESS_MS)])
  const answers = await Promise.allSettled(own.map(address => fetchNetwork(address, { signal: limit })))
  if (answers.some(({ status }) => status === 'fulfilled')) throw new KeyInUseError(peerId.toString())
}

async function askSeeds({ config, logger, signal }: FindNetworkInit): Promise<NetworkDefinition> {
  for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
    for (const seed of config.seeds) {
      try {
        return await fetchNetwork(seed, { signal })
      } catch (error) {
        signal.throwIfAborted()
        logger.warn(`no peers: ${(error as Error).message}; trying again`)
      }
    }
    await delay(waitMs, undefined, { signal })
  }
}

/** Addresses of a founding seed that are known before it listens: what it announces, or fixed ports. */
function addressesOf({ config, identity }: FindNetworkInit): string[] {
  const addresses = config.announce.length > 0 ? config.announce : config.listen
  return addresses
    .filter(address => !/\/tcp\/0(\/|$)|\/ip4\/0\.0\.0\.0\/|\/ip6\/::\//.test(address))
    .map(address => (address.includes('/p2p/') ? address : `${address}/p2p/${identity.peerId}`))
}
