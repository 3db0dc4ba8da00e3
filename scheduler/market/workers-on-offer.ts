import type { ComponentLogger, PeerId, Startable } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Ledger } from '../../ledger/index.ts'
import type { OfferFields } from '../protocol/compute-messages.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import { costOf, draw, mayServe, needsOf } from './match.ts'
import { createOfferBook, OFFER_INTERVAL_MS, type Offer, utilisation } from './offer-book.ts'
import { createOffers, type OfferPubSub } from './offer-gossip.ts'
import { type Factors, reputationFactor, scarcityFactor } from './price.ts'
import { createMarket, type Forecast } from './price-level.ts'

export interface ExchangeInit {
  /** gossip topic of the offers; without it only linked workers are known */
  topic?: string
  /** what this node lends to others */
  offer(): OfferFields
  /** what workers with a stream said there, this node among them */
  linked: ReadonlyMap<string, OfferFields>
}

export interface ExchangeComponents {
  network: Pick<ComputeNetwork, 'peerId' | 'getConnections'>
  ledger: Pick<Ledger, 'account' | 'reputation'>
  pubsub?: OfferPubSub
  logger: ComponentLogger
}

/** Who lends what at which price: the offers seen, and the market that they make. */
export function createExchange({ topic, offer, linked }: ExchangeInit, components: ExchangeComponents) {
  const { network, ledger, pubsub, logger } = components
  const own = network.peerId.toString()
  const book = createOfferBook(own)
  const gossip: Startable | undefined =
    pubsub == null || topic == null ? undefined : createOffers({ topic, book, offer }, { pubsub, logger })
  const market = createMarket()
  let timer: NodeJS.Timeout | undefined

  /** The offers of all other workers: of those with a stream what they said there. */
  function seen(): Offer[] {
    const now = Date.now()
    const offers = new Map(book.fresh(now).map(heard => [heard.peer, heard]))
    for (const [peer, said] of linked) {
      if (peer === own || said.slots === 0) offers.delete(peer)
      else {
        // gossip tells more often how many slots are free
        const free = Math.min(said.slots, offers.get(peer)?.free ?? said.free)
        offers.set(peer, { ...said, free, peer, time: now, heard: now })
      }
    }
    return [...offers.values()]
  }

  function cost(peer: string, multiplier: number): number {
    const [connection] = network.getConnections(peerIdFromString(peer))
    return costOf({
      multiplier,
      level: ledger.reputation(peer).level,
      relayed: connection?.limits != null
    })
  }

  return {
    seen,
    cost,

    /** The worker's connection ended. */
    gone: (peer: string): void => book.remove(peer),

    /** What multiplies the price of this task, verification aside. */
    factors(spec: TaskSpec): Required<Omit<Factors, 'verification'>> {
      const offers = seen()
      const able = offers.filter(each => mayServe(needsOf(spec), each))
      const multipliers = able.map(each => each.multiplier).sort((a, b) => a - b)
      return {
        market: market.factor,
        scarcity: scarcityFactor(able.length, offers.length),
        reputation: reputationFactor(ledger.reputation(ledger.account).level),
        // of the worker in the middle: who is dearer gets work when the others are busy
        multiplier: multipliers[multipliers.length >> 1] ?? 1
      }
    },

    /** Up to `most` workers to open streams to, the best first. */
    best(most: number, linkedIds: ReadonlySet<string>): PeerId[] {
      const offers = seen()
        .filter(each => !linkedIds.has(each.peer))
        .map(each => ({ peer: each.peer, free: each.free, cost: cost(each.peer, each.multiplier) }))
      return draw(offers, most, Math.random).map(({ peer }) => peerIdFromString(peer))
    },

    forecast: (): Forecast => market.forecast(Date.now()),

    async start(): Promise<void> {
      await gossip?.start()
      timer = setInterval(() => {
        const share = utilisation(seen())
        if (share != null) market.look(share, Date.now())
      }, OFFER_INTERVAL_MS)
      timer.unref()
    },

    async stop(): Promise<void> {
      clearInterval(timer)
      await gossip?.stop()
    }
  }
}

export type Exchange = ReturnType<typeof createExchange>
