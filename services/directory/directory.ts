import type {
  ComponentLogger,
  Libp2pEvents,
  Logger,
  PeerId,
  PeerInfo,
  TypedEventTarget
} from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { setMaxListeners } from 'main-event'
import type { Directory, FindOptions } from './contract.ts'
import { serviceCid } from './service-key.ts'

/** A record is announced three times in its life, so that two losses do not hide a service. */
const ANNOUNCEMENTS_PER_VALIDITY = 3
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** Measured: 25–100 ms among 20 nodes; a walk through dead peers takes seconds. */
const ANNOUNCE_TIMEOUT_MS = 20_000
const FIND_DEADLINE_MS = 10_000
const FIND_LIMIT = 100

export interface DirectoryInit {
  /** how long the DHT servers of this network keep a provider record */
  validityMs: number
}

export interface DirectoryComponents {
  peerId: PeerId
  dht: Pick<KadDHT, 'provide' | 'findProviders' | 'cancelReprovide'>
  events: Pick<TypedEventTarget<Libp2pEvents>, 'addEventListener' | 'removeEventListener'>
  logger: ComponentLogger
}

interface Announcement {
  holders: number
  retryMs: number
  timer?: NodeJS.Timeout
  running: boolean
}

export function createDirectory(init: DirectoryInit): (components: DirectoryComponents) => Directory {
  return components => new DhtDirectory(init, components)
}

class DhtDirectory implements Directory {
  readonly #components: DirectoryComponents
  readonly #log: Logger
  readonly #renewMs: number
  readonly #announcements = new Map<string, Announcement>()
  readonly #onConnect: () => void
  #stopped: AbortController | undefined

  constructor(init: DirectoryInit, components: DirectoryComponents) {
    this.#components = components
    this.#log = components.logger.forComponent('artel:directory')
    this.#renewMs = init.validityMs / ANNOUNCEMENTS_PER_VALIDITY
    // somebody to tell has come: do not wait for the retry
    this.#onConnect = () => {
      for (const [service, state] of this.#announcements) {
        if (state.holders > 0) continue
        state.retryMs = FIRST_RETRY_MS
        this.#schedule(service, state, FIRST_RETRY_MS / 10)
      }
    }
  }

  start(): void {
    this.#stopped = new AbortController()
    setMaxListeners(Number.POSITIVE_INFINITY, this.#stopped.signal)
    this.#components.events.addEventListener('peer:connect', this.#onConnect)
    for (const [service, state] of this.#announcements) this.#schedule(service, state, 0)
  }

  stop(): void {
    this.#components.events.removeEventListener('peer:connect', this.#onConnect)
    this.#stopped?.abort()
    this.#stopped = undefined
    for (const state of this.#announcements.values()) clearTimeout(state.timer)
  }

  announce(service: string): void {
    serviceCid(service)
    if (this.#announcements.has(service)) return
    const state: Announcement = { holders: 0, retryMs: FIRST_RETRY_MS, running: false }
    this.#announcements.set(service, state)
    this.#schedule(service, state, 0)
  }

  async withdraw(service: string): Promise<void> {
    clearTimeout(this.#announcements.get(service)?.timer)
    this.#announcements.delete(service)
    // removes our own record too, so that this node does not answer for itself
    await this.#components.dht.cancelReprovide(serviceCid(service))
  }

  announced(): ReadonlyMap<string, number> {
    return new Map([...this.#announcements].map(([service, { holders }]) => [service, holders]))
  }

  async *find(service: string, options: FindOptions = {}): AsyncGenerator<PeerInfo> {
    const cid = serviceCid(service)
    const deadline = AbortSignal.timeout(options.deadlineMs ?? FIND_DEADLINE_MS)
    const enough = new AbortController()
    const signals = [options.signal, deadline, this.#stopped?.signal, enough.signal].filter(s => s != null)
    const signal = AbortSignal.any(signals)
    setMaxListeners(Number.POSITIVE_INFINITY, signal)
    const seen = new Set([this.#components.peerId.toString()])
    const limit = (options.limit ?? FIND_LIMIT) + seen.size
    try {
      for await (const event of this.#components.dht.findProviders(cid, { signal })) {
        if (event.name !== 'PROVIDER') continue
        for (const provider of event.providers) {
          const id = provider.id.toString()
          if (seen.has(id)) continue
          seen.add(id)
          yield provider
          if (seen.size >= limit) return
        }
      }
    } catch (error) {
      options.signal?.throwIfAborted()
      // an empty routing table or a deadline is an answer: nobody more was found
      this.#log('search for %s ended: %s', service, (error as Error).message)
    } finally {
      enough.abort()
    }
  }

  #schedule(service: string, state: Announcement, delayMs: number): void {
    const stopped = this.#stopped?.signal
    if (stopped == null || state.running) return
    clearTimeout(state.timer)
    state.timer = setTimeout(() => void this.#announce(service, state, stopped), delayMs)
  }

  async #announce(service: string, state: Announcement, stopped: AbortSignal): Promise<void> {
    state.running = true
    state.holders = await this.#provide(service, stopped)
    state.running = false
    if (stopped.aborted || this.#announcements.get(service) !== state) return
    if (state.holders > 0) {
      this.#log('%s announced to %d nodes', service, state.holders)
      state.retryMs = FIRST_RETRY_MS
      this.#schedule(service, state, this.#renewMs)
    } else {
      this.#schedule(service, state, state.retryMs)
      state.retryMs = Math.min(state.retryMs * 2, LAST_RETRY_MS, this.#renewMs)
    }
  }

  /** How many nodes took the record. */
  async #provide(service: string, stopped: AbortSignal): Promise<number> {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(ANNOUNCE_TIMEOUT_MS)])
    setMaxListeners(Number.POSITIVE_INFINITY, signal)
    let holders = 0
    try {
      for await (const event of this.#components.dht.provide(serviceCid(service), { signal })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') holders++
      }
    } catch (error) {
      if (!stopped.aborted) this.#log('announcing %s ended: %s', service, (error as Error).message)
    }
    return holders
  }
}
