import { encodeValue } from '../../../sandbox/index.ts'
import type { SchedulerEvents } from '../../../scheduler/index.ts'
import { balanceOf } from '../../core/index.ts'
import { type Hearers, type ServicesEvents, toWire } from '../../host/index.ts'
import type { GatewayComponents } from '../contract.ts'
import type { Event } from '../schema.ts'
import { createLoad } from './load.ts'
import { createOutbox, type Sink } from './outbox.ts'

/**
 * Faster than an eye, and thousands of small jobs a second become a few hundred texts. What comes after a rest is told at
 * once.
 */
const GATHER_MS = 100
const STATS_MS = 1000
/** Round trips change slowly; who comes and goes is told at once. */
const PEERS_MS = 5000
/** A page takes a line that is silent for 10 s to be dead; who hears the node hears its stats. */
const HERE_MS = 4_000
/** Events gathered at once; beyond, progress of further jobs is left out, and their end is not. */
const MAX_GATHERED = 1000

/** What happens on this node, told to any number of readers (the WebSocket). Costs nothing while nobody reads. */
export interface EventHub {
  /**
   * Tells everything from now on that the reader may read, of the node beginning with peers, balance and stats. The answer
   * ends it.
   */
  add(sink: Sink, reader: Reader): () => void
  close(): void
}

export interface Reader {
  /** canonical values in place of JSON */
  asValues: boolean
  /** jobs, peers, balance and stats; else he hears that the node is here */
  mayReadNode: boolean
  /** `to`: it is not for all who may read the service */
  mayRead(service: string, to?: Hearers): boolean
}

export function createEventHub(
  components: Pick<GatewayComponents, 'scheduler' | 'ledger' | 'node' | 'services' | 'logger'>,
  now: () => number
): EventHub {
  const { scheduler, ledger, node, services, logger } = components
  const log = logger.forComponent('artel:gateway')
  const readers = new Map<ReturnType<typeof createOutbox>, Reader>()
  const gathered = new Map<string, { event: Event | ServiceEvent; to?: Hearers | undefined }>()
  let timers: NodeJS.Timeout[] = []
  let flushing: NodeJS.Timeout | undefined
  /** ms of the process */
  let flushedAt = Number.NEGATIVE_INFINITY
  let load = createLoad()
  let told = 0

  function tell(key: string, event: Event | ServiceEvent, to?: Hearers): void {
    const mayGo = event.type === 'progress' || 'value' in event
    if (mayGo && gathered.size >= MAX_GATHERED && !gathered.has(key)) return
    gathered.set(key, { event, to })
    // a turn at least, so that what comes together goes together
    flushing ??= setTimeout(flush, Math.max(0, flushedAt + GATHER_MS - performance.now()))
  }

  function flush(): void {
    flushing = undefined
    flushedAt = performance.now()
    for (const [key, { event, to }] of gathered) {
      try {
        send(key, event, to)
      } catch (error) {
        // what a service tells may be no value, as a function or a circle
        log.error('%s cannot be told: %e', event.type, error)
      }
    }
    gathered.clear()
  }

  function send(key: string, event: Event | ServiceEvent, to?: Hearers): void {
    const [service, topic] = 'value' in event ? event.type.split(':') : []
    // each form is made once, where somebody wants it
    let text: string | undefined
    let value: Uint8Array | undefined
    for (const [outbox, { asValues, mayReadNode, mayRead }] of readers) {
      if (topic == null ? !mayReadNode : !mayRead(service!, to)) continue
      if (asValues) value ??= encodeValue(event)
      else text ??= toWire(event)
      outbox.put(key, asValues ? value! : text!)
    }
  }

  const listeners = {
    'job:add': ({ detail }) => tell(`job ${detail.job}`, { type: 'job', job: detail }),
    // the end replaces the progress before it
    'job:progress': ({ detail }) => tell(`run ${detail.job}`, { type: 'progress', progress: detail }),
    'job:end': ({ detail }) => tell(`run ${detail.job}`, { type: 'end', job: detail }),
    'worker:add': ({ detail }) => {
      tell(`worker ${detail.peer}`, { type: 'worker:add', worker: detail })
      tellPeers()
    },
    'worker:remove': ({ detail }) => {
      tell(`worker ${detail.peer}`, { type: 'worker:remove', worker: detail })
      tellPeers()
    }
  } satisfies Listeners

  const onTell = ({ detail: { type, value, to } }: ServicesEvents['tell']): void =>
    tell(`${type} ${++told}`, { type: type as ServiceEvent['type'], value }, to)
  const onHealth = ({ detail }: ServicesEvents['health']): void =>
    tell(`health ${detail.service}`, { type: 'service', service: detail })
  const onChange = (): void => tell('balance', { type: 'balance', balance: balanceOf(ledger) })

  function tellHere(): void {
    for (const [outbox, { asValues, mayReadNode }] of readers)
      if (!mayReadNode) outbox.put('here', asValues ? encodeValue(HERE) : toWire(HERE))
  }
  const tellPeers = (): void => tell('peers', { type: 'peers', peers: node.peers() })
  const tellStats = (): void =>
    tell('stats', { type: 'stats', stats: { time: now(), load: load(), ...node.usage() } })

  function start(): void {
    load = createLoad()
    for (const [type, listener] of Object.entries(listeners))
      scheduler.addEventListener(type as keyof Listeners, listener as never)
    ledger.addEventListener('change', onChange)
    services.addEventListener('tell', onTell)
    services.addEventListener('health', onHealth)
    timers = [
      setInterval(tellStats, STATS_MS),
      setInterval(tellPeers, PEERS_MS),
      setInterval(tellHere, HERE_MS)
    ]
  }

  function stop(): void {
    for (const [type, listener] of Object.entries(listeners))
      scheduler.removeEventListener(type as keyof Listeners, listener as never)
    ledger.removeEventListener('change', onChange)
    services.removeEventListener('tell', onTell)
    services.removeEventListener('health', onHealth)
    for (const timer of timers) clearInterval(timer)
    clearTimeout(flushing)
    flushing = undefined
    gathered.clear()
  }

  return {
    add(sink, reader) {
      const outbox = createOutbox(sink)
      if (readers.size === 0) start()
      readers.set(outbox, reader)
      onChange()
      tellPeers()
      tellStats()
      tellHere()
      return () => {
        if (readers.delete(outbox) && readers.size === 0) stop()
      }
    },
    close() {
      if (readers.size > 0) stop()
      readers.clear()
    }
  }
}

const HERE = { type: 'here' }

/** What a service tells: <name>:<topic>. */
interface ServiceEvent {
  type: `${string}:${string}`
  value: unknown
}

type Listeners = {
  [K in keyof SchedulerEvents]: (event: SchedulerEvents[K]) => void
}
