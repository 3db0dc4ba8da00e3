import type { Logger, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Ledger } from '../../ledger/index.ts'
import type { WorkerInfo } from '../contract.ts'
import type { WorkerOffer } from '../coordinator/contract.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { FromWorker, OfferFields, OfferMessage } from '../protocol/compute-messages.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { PeerCosts } from '../protocol/peer-costs.ts'
import type { Outbox } from '../streams/lease-outbox.ts'
import { type Links, MAX_LINKS } from '../streams/worker-links.ts'
import { addressGroup } from '../trust/address-group.ts'
import type { Runs } from './running-jobs.ts'
import { weighAnswer } from './weigh-answers.ts'

// Streams to workers that a node without jobs keeps; it opens more when it has work.
const IDLE_LINKS = 32
// The directory costs other nodes a search; where workers are known it is asked no more often than this.
const DIRECTORY_INTERVAL_MS = 60_000

type Refusal = Extract<FromWorker, { t: 'refused' }>

export interface PeersInit {
  /** how many slices of others this node runs at a time */
  policy: { readonly slots: number }
  /** finds peers that lend their machine; gives hints, which are checked by dialling */
  findWorkers?: (options: { signal: AbortSignal }) => AsyncIterable<PeerId>
  signal: AbortSignal
  tell(event: 'worker:add' | 'worker:remove', worker: WorkerInfo): void
}

/** The workers as this node sees them: what they say reaches the coordinator, checked. `offers`: what linked ones said last. */
export function createPeers(
  { policy, findWorkers, signal, tell }: PeersInit,
  {
    offers,
    network,
    ledger,
    exchange,
    links,
    outbox,
    runs,
    costs,
    log
  }: {
    offers: Map<string, OfferMessage>
    network: ComputeNetwork
    ledger: Pick<Ledger, 'account' | 'network'>
    exchange: Exchange
    links: Pick<Links, 'get' | 'ids'>
    outbox: Outbox
    runs: Runs
    costs: PeerCosts
    log: Logger
  }
) {
  const { coordinator } = runs
  const self = network.peerId.toString()
  /** the last refusal of a linked worker */
  const refusals = new Map<string, string>()
  let directoryAskedAt = 0

  /** false for this node itself where it lends nothing: then it only compares for its owner */
  const lends = (worker: string): boolean => policy.slots > 0 || worker !== self

  function offered(worker: string, message: OfferMessage): WorkerOffer {
    const { slots, window, class: kind, multiplier, minPriceMicro } = message
    const own = worker === self
    const address = own ? undefined : network.getConnections(peerIdFromString(worker))[0]?.remoteAddr
    return {
      slots,
      window,
      class: kind,
      own,
      // what the owner's own machine does costs nothing
      multiplier: own ? 1 : multiplier,
      minPrice: own ? 0 : minPriceMicro,
      cost: own ? 1 : exchange.cost(worker, multiplier),
      serves: message,
      lastResort: own && policy.slots === 0,
      group: address && addressGroup(address.toString())
    }
  }

  function refused(worker: string, { slices, reason, program, missing = [] }: Refusal, now: number): void {
    if (program != null) links.get(worker)?.forget(program)
    // it made room, or what comes for it will be refused
    if (program != null && slices.length === 0) return
    const others = slices.filter(slice => {
      const held = coordinator.held(slice, worker)
      const part = held && runs.part(held.job)?.part
      if (part?.source?.lost(missing)) {
        coordinator.giveBack(worker, [slice], now)
        return false
      }
      const needed = held && part?.missing?.of(held.first, missing)
      // who names blocks that the slice does not need refuses it, whatever it says
      if (needed == null || needed.length === 0) return true
      coordinator.starved(worker, slice, needed, now)
      return false
    })
    if (others.length === 0 && slices.length > 0) return
    refusals.set(worker, reason)
    coordinator.refuse(worker, others, now)
  }

  function info(
    peer: string,
    { class: kind, slots, walled, multiplier, minPriceMicro }: OfferFields
  ): WorkerInfo {
    const { leased = 0, accepted = 0, failed = 0 } = coordinator.worker(peer) ?? {}
    return {
      peer,
      class: kind,
      slots,
      walled,
      multiplier,
      minPrice: BigInt(minPriceMicro),
      refusal: refusals.get(peer),
      connected: links.get(peer) != null,
      leased,
      accepted,
      failed
    }
  }

  return {
    message(worker: string, message: FromWorker, spentMs: number): void {
      // an answer that comes while this node stops has no store to go to; its slice is leased again after the start
      if (signal.aborted) return
      const now = Date.now()
      coordinator.seen(worker, now)
      switch (message.t) {
        case 'offer': {
          costs.waste(worker, spentMs)
          const lent = (offers.get(worker)?.slots ?? 0) > 0
          offers.set(worker, message)
          coordinator.offer(worker, offered(worker, message), now)
          const isLent = message.slots > 0 && lends(worker)
          if (isLent !== lent) tell(isLent ? 'worker:add' : 'worker:remove', info(worker, message))
          break
        }
        case 'result': {
          const answers = message.slices.flatMap(result =>
            weighAnswer(worker, result, { coordinator, runs, ledger, log })
          )
          // late ones are nobody's fault; what was never asked for is
          const isOwed = links.get(worker)?.settle(message.slices.length)
          if (answers.length === 0 && isOwed !== true) costs.waste(worker, spentMs)
          coordinator.answer(worker, answers, now)
          break
        }
        case 'refused':
          links.get(worker)?.settle(message.slices.length)
          costs.waste(worker, spentMs)
          log('%s refused %d slices: %s', worker, message.slices.length, message.reason)
          refused(worker, message, now)
          break
        case 'loaded':
        case 'alive':
          costs.waste(worker, spentMs)
          break
      }
      runs.progress(now)
      outbox.flush()
    },

    gone(worker: string): void {
      const offer = offers.get(worker)
      offers.delete(worker)
      exchange.gone(worker)
      refusals.delete(worker)
      coordinator.gone(worker, Date.now())
      if (offer != null && offer.slots > 0) tell('worker:remove', info(worker, offer))
      outbox.flush()
    },

    /** Workers to open streams to: of those on offer the best, then what the directory finds. */
    async *find(options: { signal: AbortSignal }): AsyncGenerator<PeerId> {
      const linked = new Set(links.ids())
      const wanted = (coordinator.busy ? MAX_LINKS : IDLE_LINKS) - linked.size
      if (wanted <= 0) return
      yield* exchange.best(wanted, linked)
      const now = Date.now()
      const isEnough = exchange.seen().length > 0 && now - directoryAskedAt < DIRECTORY_INTERVAL_MS
      if (findWorkers == null || isEnough) return
      directoryAskedAt = now
      yield* findWorkers(options)
    },

    /** why a linked worker refused last */
    refusal: (worker: string): string | undefined => refusals.get(worker),

    list(): WorkerInfo[] {
      const mine = offers.get(self)
      return [
        ...(mine != null && lends(self) ? [info(self, mine)] : []),
        ...exchange.seen().map(offer => info(offer.peer, offer))
      ]
    }
  }
}

export type Peers = ReturnType<typeof createPeers>
