import type { ComponentLogger, Logger, PeerId } from '@libp2p/interface'
import type { LoadMessage } from '../protocol/compute-messages.ts'
import { COMPUTE_PROTOCOL, type FromRequester, type FromWorker } from '../protocol/compute-messages.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { PeerCosts } from '../protocol/peer-costs.ts'
import type { WorkerEnd } from '../protocol/worker-end.ts'
import { type Channel, openRequesterChannel } from './channel.ts'
import { MAX_STREAMS, serveRequesters } from './serve-requesters.ts'

export interface LinkEvents {
  /** `spentMs`: what it took to read the message */
  message(worker: string, message: FromWorker, spentMs: number): void
  gone(worker: string): void
}

export interface Link {
  readonly id: string
  /** Sends the program before its first slice. */
  load(message: LoadMessage): void
  loaded(program: string): boolean
  /** The worker forgot it; it is sent again with the next slice. */
  forget(program: string): void
  send(message: FromRequester): void
  /** So many slices were answered or refused. false: more than were leased, so that some were never asked for. */
  settle(slices: number): boolean
}

/** Streams to workers beyond this are of no use to one coordinator, and a bound on what peers can make us hold. */
export const MAX_LINKS = 128
const OPEN_TIMEOUT_MS = 5000
const RETRY_MS = [250, 1000, 4000, 15_000]
const DISCOVERY_INTERVAL_MS = 10_000
const HUNGRY_DISCOVERY_INTERVAL_MS = 1000
const DISCOVERY_TIMEOUT_MS = 5000
// Workers that are dialled at the same time: one that does not answer must not hold up the others.
const MAX_DIALS = 8

/**
 * Keeps one compute stream to every connected worker, in both roles: serves the streams that requesters open and
 * opens one to each peer that speaks the protocol. `findWorkers` gives further peers to dial.
 */
export function createLinks(
  init: { events: LinkEvents; findWorkers?: (options: { signal: AbortSignal }) => AsyncIterable<PeerId> },
  components: { network: ComputeNetwork; worker: WorkerEnd; costs: PeerCosts; logger: ComponentLogger }
) {
  const { events, findWorkers } = init
  const { network, worker, costs } = components
  const log: Logger = components.logger.forComponent('artel:links')
  const links = new Map<string, Link & { close(): void }>()
  const opening = new Set<string>()
  const timers = new Set<NodeJS.Timeout>()
  const controller = new AbortController()
  let registration: string | undefined
  let hungry = false
  let wake: (() => void) | undefined

  /** Wraps any way to a worker so that programs are loaded once. */
  function addLink(id: string, send: (message: FromRequester) => void, close: () => void): Link {
    const programs = new Set<string>()
    let owed = 0
    const link = {
      id,
      send(message: FromRequester) {
        if (message.t === 'lease') owed += message.slices.length
        send(message)
      },
      settle(slices: number) {
        const isOwed = slices <= owed
        owed = Math.max(0, owed - slices)
        return isOwed
      },
      close,
      load(message: LoadMessage) {
        programs.add(message.program)
        send(message)
      },
      loaded: (program: string) => programs.has(program),
      forget: (program: string) => void programs.delete(program)
    }
    links.set(id, link)
    return link
  }

  async function open(peer: PeerId, attempt = 0): Promise<void> {
    const id = peer.toString()
    if (
      links.has(id) ||
      opening.has(id) ||
      links.size + opening.size >= MAX_LINKS ||
      controller.signal.aborted
    )
      return
    opening.add(id)
    try {
      const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])
      const stream = await network.dialProtocol(peer, COMPUTE_PROTOCOL, {
        signal,
        maxOutboundStreams: MAX_STREAMS
      })
      const channel: Channel<FromRequester> = openRequesterChannel(stream, {
        peer: id,
        costs,
        log,
        onMessage: (message, spentMs) => events.message(id, message, spentMs),
        onClose: () => {
          links.delete(id)
          events.gone(id)
          retry(peer, 0)
        }
      })
      addLink(id, channel.send, channel.close)
    } catch (err) {
      log('no compute stream to %s yet: %s', id, (err as Error).message)
      retry(peer, attempt + 1)
    } finally {
      opening.delete(id)
    }
  }

  function retry(peer: PeerId, attempt: number): void {
    const wait = RETRY_MS[attempt]
    if (wait == null || controller.signal.aborted || network.getConnections(peer).length === 0) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      void open(peer, attempt)
    }, wait)
    timers.add(timer)
  }

  /** This node's own worker: no stream, the same messages. */
  function linkSelf(): void {
    const id = network.peerId.toString()
    const later =
      <T>(deliver: (message: T) => void) =>
      (message: T) =>
        setImmediate(deliver, message)
    const own = worker.connect(
      id,
      later(message => events.message(id, message, 0)),
      true
    )
    addLink(
      id,
      later(message => own.receive(message, 0)),
      () => own.close()
    )
  }

  async function discover(): Promise<void> {
    if (findWorkers == null) return
    while (!controller.signal.aborted) {
      try {
        const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(DISCOVERY_TIMEOUT_MS)])
        const dialling = new Set<Promise<void>>()
        for await (const peer of findWorkers({ signal })) {
          if (links.size >= MAX_LINKS) break
          if (peer.equals(network.peerId) || links.has(peer.toString())) continue
          if (network.getConnections(peer).length > 0) void open(peer)
          else {
            const dialled: Promise<void> = network
              .dial(peer, { signal })
              .catch(err => log('could not reach worker %p: %s', peer, err.message))
              .then(() => void dialling.delete(dialled))
            dialling.add(dialled)
            if (dialling.size >= MAX_DIALS) await Promise.race(dialling)
          }
        }
      } catch (err) {
        if (!controller.signal.aborted) log('looking for workers: %s', (err as Error).message)
      }
      const wait = hungry ? HUNGRY_DISCOVERY_INTERVAL_MS : DISCOVERY_INTERVAL_MS
      await new Promise<void>(resolve => {
        const timer = setTimeout(done, wait)
        wake = done
        function done(): void {
          wake = undefined
          clearTimeout(timer)
          controller.signal.removeEventListener('abort', done)
          resolve()
        }
        controller.signal.addEventListener('abort', done)
      })
    }
  }

  return {
    get: (id: string): Link | undefined => links.get(id),
    ids: () => [...links.keys()],
    /** A job runs: look for workers at once, and more often. */
    set hungry(value: boolean) {
      if (value && !hungry) wake?.()
      hungry = value
    },

    async start(): Promise<void> {
      await serveRequesters(network, { worker, costs, log })
      registration = await network.register(COMPUTE_PROTOCOL, { onConnect: peer => void open(peer) })
      linkSelf()
      discover().catch(err => log.error('discovery of workers ended: %e', err))
    },

    async stop(): Promise<void> {
      controller.abort()
      for (const timer of timers) clearTimeout(timer)
      if (registration != null) network.unregister(registration)
      await network.unhandle(COMPUTE_PROTOCOL)
      for (const link of links.values()) link.close()
      links.clear()
    }
  }
}

export type Links = ReturnType<typeof createLinks>
