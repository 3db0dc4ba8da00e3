import type { ComponentLogger, Libp2pEvents, Startable, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { peerOf } from './network.ts'

/** Three are enough that one or two bad or dead seeds cannot hide the network. */
const WANTED_SEEDS = 3
const FIRST_RETRY_MS = 1_000
/** An idle machine must not hammer a seed that is away for a day. */
const LAST_RETRY_MS = 30_000
const DIAL_TIMEOUT_MS = 5_000

export interface SeedKeeperComponents {
  connectionManager: Pick<ConnectionManager, 'openConnection' | 'getConnections'>
  events: TypedEventTarget<Libp2pEvents>
  logger: ComponentLogger
}

export interface SeedKeeper extends Startable {
  /**
   * Dials the seeds from now on. Not done by `start`, which runs beside that of the DHT: a seed that is identified
   * before the DHT listens is missing in its routing table.
   */
  connect(): void
}

/**
 * A libp2p service that keeps connections to three seeds (or to all, when there are fewer), for as long as the
 * node runs. `@libp2p/bootstrap` makes seeds known and dials each once; a seed that is away at that moment
 * would be lost.
 */
export function seedKeeper(init: { seeds: string[] }): (components: SeedKeeperComponents) => SeedKeeper {
  return components => new DefaultSeedKeeper(init.seeds, components)
}

class DefaultSeedKeeper implements SeedKeeper {
  readonly #seeds: Map<string, string[]>
  readonly #components: SeedKeeperComponents
  readonly #onDisconnect: () => void
  #retryMs = FIRST_RETRY_MS
  #timer: NodeJS.Timeout | undefined
  #stopped: AbortController | undefined

  constructor(seeds: string[], components: SeedKeeperComponents) {
    this.#seeds = Map.groupBy(seeds, seed => peerOf(seed) as string) as Map<string, string[]>
    this.#components = components
    this.#onDisconnect = () => {
      this.#retryMs = FIRST_RETRY_MS
      this.#schedule()
    }
  }

  start(): void {
    this.#stopped = new AbortController()
  }

  connect(): void {
    const stopped = this.#stopped?.signal
    if (stopped == null) return
    this.#components.events.addEventListener('peer:disconnect', this.#onDisconnect)
    void this.#round(stopped)
  }

  stop(): void {
    this.#components.events.removeEventListener('peer:disconnect', this.#onDisconnect)
    this.#stopped?.abort()
    this.#stopped = undefined
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const stopped = this.#stopped?.signal
    if (stopped == null || this.#seeds.size === 0) return
    this.#timer = setTimeout(() => void this.#round(stopped), this.#retryMs)
  }

  async #round(stopped: AbortSignal): Promise<void> {
    const missing = this.#missing()
    const wanted = Math.min(WANTED_SEEDS, this.#seeds.size) - (this.#seeds.size - missing.length)
    if (wanted > 0) {
      await Promise.all(missing.slice(0, wanted).map(id => this.#dial(id, stopped)))
      if (stopped.aborted) return
    }
    const met = this.#seeds.size - this.#missing().length >= Math.min(WANTED_SEEDS, this.#seeds.size)
    this.#retryMs = met ? LAST_RETRY_MS : Math.min(this.#retryMs * 2, LAST_RETRY_MS)
    this.#schedule()
  }

  /** Seeds without a connection, in an order that differs between nodes so that not all lean on the first. */
  #missing(): string[] {
    return [...this.#seeds.keys()]
      .filter(id => this.#components.connectionManager.getConnections(peerIdFromString(id)).length === 0)
      .sort(() => Math.random() - 0.5)
  }

  async #dial(id: string, stopped: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
    const addresses = (this.#seeds.get(id) ?? []).map(address => multiaddr(address))
    try {
      await this.#components.connectionManager.openConnection(addresses, { signal })
    } catch (error) {
      if (stopped.aborted) return
      this.#components.logger
        .forComponent('artel:seeds')
        .error('seed %s does not answer (%s), next try in %d ms', id, (error as Error).message, this.#retryMs)
    }
  }
}
