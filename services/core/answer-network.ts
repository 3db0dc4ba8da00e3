import type { Ledger } from '../../ledger/index.ts'
import type { Scheduler } from '../../scheduler/index.ts'
import { COMPUTE_SERVICE, type Directory } from '../directory/index.ts'
import { allows, type Caller, ForbiddenError, type Handlers, type Services } from '../host/index.ts'
import { FIND_DEADLINE_MS, type Network, type network, type PeerRow, type ServicesView } from './network.ts'

/** A search of the DHT costs other nodes; who asks again so soon gets the same. */
const FOUND_MS = 15_000
const FIND_LIMIT = 50

export interface NetworkComponents {
  scheduler: Pick<Scheduler, 'workers' | 'forecast'>
  ledger: Pick<Ledger, 'epoch' | 'supply'>
  directory: Pick<Directory, 'announced' | 'find'>
  services: Pick<Services, 'health'>
  status(): Omit<Network, 'slots' | 'epoch' | 'supply' | 'market'>
  peers(): PeerRow[]
  /** aborted when the node stops */
  signal: AbortSignal
}

type Found = ServicesView['items'][number]

export function answerNetwork({
  scheduler,
  ledger,
  directory,
  services,
  status,
  peers,
  signal
}: NetworkComponents): Handlers<(typeof network)['operations']> {
  const found = new Map<string, { at: number; providers: Promise<Found> }>()

  /** Searches that go on are shared, and what they found is kept a while. */
  function providersOf(service: string): Promise<Found> {
    for (const [name, { at }] of found) if (Date.now() - at > FOUND_MS) found.delete(name)
    const known = found.get(service)
    if (known != null) return known.providers
    const providers = search(service)
    found.set(service, { at: Date.now(), providers })
    // the next one tries again
    providers.catch(() => found.delete(service))
    return providers
  }

  async function search(service: string): Promise<Found> {
    const providers: string[] = []
    const options = { limit: FIND_LIMIT, deadlineMs: FIND_DEADLINE_MS, signal }
    for await (const { id } of directory.find(service, options)) providers.push(id.toString())
    return { service, providers }
  }

  return {
    network: () => ({
      ...status(),
      slots: scheduler.workers().reduce((sum, { slots }) => sum + slots, 0),
      epoch: ledger.epoch(),
      supply: ledger.supply(),
      market: scheduler.forecast().now
    }),
    peers: () => ({ items: peers() }),
    offers: () => ({ items: scheduler.workers() }),
    async services({ find, names = [] }, { caller }) {
      if (names.length > 0 && !isOwner(caller))
        throw new ForbiddenError('names: only the owner has the network searched for what he likes')
      const here = services.health()
      const announced = [...directory.announced()].map(([service, holders]) => ({ service, holders }))
      if (!find) return { announced, items: [], here }
      const wanted = new Set([COMPUTE_SERVICE, ...announced.map(({ service }) => service), ...names])
      return { announced, items: await Promise.all([...wanted].map(providersOf)), here }
    }
  }
}

const isOwner = (caller: Caller): boolean =>
  caller.is === 'owner' || (caller.is === 'grant' && allows(caller.grant, 'admin'))
