import { type GossipSub, TopicValidatorResult } from '@libp2p/gossipsub'
import type { ComponentLogger, Logger, Startable } from '@libp2p/interface'
import { z } from 'zod'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { type OfferFields, offerFields } from '../protocol/compute-messages.ts'

/**
 * Workers tell what they lend by gossip. An offer is one canonical value, the fields of the compute protocol's offer
 * and `time`; its author is who signed the gossip message.
 *
 * Every node passes on about RELAY_PER_SECOND offers, by chance, and keeps the rest to itself (the topic validator
 * answers `Ignore`). So a small network hears all of its workers; in a large one each node hears its neighbours and a
 * changing few of those farther away, every node others than the next; and what a node sends and receives does not
 * depend on the number of nodes, nor on how much a flooder publishes.
 */

/** An offer is published this often, ± JITTER, and counts for the life of three. */
export const OFFER_INTERVAL_MS = 10_000
export const OFFER_TTL_MS = 30_000
const JITTER = 0.2
// A change is told at once, but not more often than this.
const MIN_INTERVAL_MS = 2000
// A change is noticed after at most this.
const CHECK_MS = 1000
// An honest author keeps MIN_INTERVAL_MS; half of it forgives what the network compresses.
const MIN_HEARD_MS = MIN_INTERVAL_MS / 2
// Clocks of home computers are off by seconds, rarely by more than a minute.
const CLOCK_SKEW_MS = 60_000
/** Offers that a node passes on per second, on average, to the about 12 peers of its mesh and of gossip. */
export const RELAY_PER_SECOND = 1
// What is heard per second is an average that fades with this.
const HEARD_MS = OFFER_INTERVAL_MS
export const MAX_OFFERS = 4096
// Two lists of names are the longest part: (64 + 16) × 33 bytes.
const MAX_OFFER_BYTES = 4096

const schema = offerFields.extend({
  /** ms on the author's clock, growing: a later offer replaces an earlier one */
  time: z.int().min(0)
})

/** A worker as its last offer says. */
export interface Offer extends OfferFields {
  peer: string
  time: number
  /** ms on this node's clock */
  heard: number
}

/** accept: passed on; ignore: not passed on; reject: costs the peer that sent it gossip score */
export type Verdict = 'accept' | 'ignore' | 'reject'

/** Bytes of an offer for gossip. */
export function encodeOffer(fields: OfferFields, time: number): Uint8Array {
  return encodeValue({ ...fields, time })
}

/**
 * The offers heard, one per peer, at most MAX_OFFERS: the one heard longest ago gives way, as it would expire first.
 * Pure: the clock comes in.
 */
export function createOfferBook(own: string, random: () => number = Math.random) {
  // in the order they were heard
  const offers = new Map<string, Offer>()
  const relay = createRelay(random)

  function expire(now: number): void {
    for (const [peer, { heard }] of offers) {
      if (now - heard <= OFFER_TTL_MS) return
      offers.delete(peer)
    }
  }

  return {
    /** Takes a gossip message of `author` and says what becomes of it. */
    receive(author: string, data: Uint8Array, now: number): Verdict {
      const parsed = read(data)
      if (parsed == null) return 'reject'
      if (author === own) return 'ignore'
      expire(now)
      const known = offers.get(author)
      // an old message that somebody sends again, or a clock that is wrong
      if (parsed.time > now + CLOCK_SKEW_MS || parsed.time < now - OFFER_TTL_MS - CLOCK_SKEW_MS)
        return 'ignore'
      if (known != null && (parsed.time <= known.time || now - known.heard < MIN_HEARD_MS)) return 'ignore'
      offers.delete(author)
      offers.set(author, { ...parsed, peer: author, heard: now })
      if (offers.size > MAX_OFFERS) offers.delete(offers.keys().next().value as string)
      return relay.take(now) ? 'accept' : 'ignore'
    },
    /** The peer is gone. */
    remove(peer: string): void {
      offers.delete(peer)
    },
    /** What is still valid and lends anything. */
    fresh(now: number): Offer[] {
      expire(now)
      return [...offers.values()].filter(offer => offer.slots > 0)
    },
    get(peer: string, now: number): Offer | undefined {
      expire(now)
      return offers.get(peer)
    },
    get size(): number {
      return offers.size
    }
  }
}

export type OfferBook = ReturnType<typeof createOfferBook>

/**
 * What a node passes on: each offer with the probability RELAY_PER_SECOND / (offers heard per second), at most 1. By
 * chance rather than while a budget lasts, because then all nodes would have budget at the same moments, for the
 * same few offers, which would go everywhere, and the rest nowhere.
 */
export function createRelay(random: () => number) {
  let perSecond = 0
  let last = 0
  return {
    take(now: number): boolean {
      perSecond = perSecond * Math.exp(-Math.max(0, now - last) / HEARD_MS) + 1000 / HEARD_MS
      last = Math.max(last, now)
      return random() * perSecond < RELAY_PER_SECOND
    }
  }
}

function read(data: Uint8Array) {
  if (data.length > MAX_OFFER_BYTES) return
  try {
    const parsed = schema.safeParse(decodeValue(data))
    if (parsed.success && parsed.data.free <= parsed.data.slots) return parsed.data
  } catch {
    // not a canonical value: malformed like any other
  }
}

/** Share of the slots on offer that are busy; undefined when nothing is on offer. */
export function utilisation(offers: Iterable<Pick<OfferFields, 'slots' | 'free'>>): number | undefined {
  let slots = 0
  let free = 0
  for (const offer of offers) {
    slots += offer.slots
    free += offer.free
  }
  return slots === 0 ? undefined : 1 - free / slots
}

/**
 * When the own offer is due: by time, or when it changed. That a slot gets free or busy is a change only
 * between some and none.
 */
export function createSchedule(random: () => number) {
  let last = Number.NEGATIVE_INFINITY
  let due = Number.NEGATIVE_INFINITY
  let said = ''
  return {
    isDue(fields: OfferFields, now: number): boolean {
      const key = JSON.stringify({ ...fields, free: fields.free > 0 })
      const lends = fields.slots > 0
      // who lends nothing says so once, if it lent before
      if (!lends && (said === '' || said === key)) return false
      if (now < due && (said === key || now - last < MIN_INTERVAL_MS)) return false
      last = now
      due = now + OFFER_INTERVAL_MS * (1 + JITTER * (2 * random() - 1))
      said = key
      return true
    }
  }
}

/** What offers use of gossipsub. */
export type OfferPubSub = Pick<GossipSub, 'topicValidators' | 'subscribe' | 'unsubscribe' | 'publish'>

const RESULTS: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject
}

/** Publishes what `offer` says on the topic, and fills the book with what others say there. */
export function createOffers(
  { topic, book, offer }: { topic: string; book: OfferBook; offer: () => OfferFields },
  components: { pubsub: OfferPubSub; logger: ComponentLogger }
): Startable {
  const { pubsub } = components
  const log: Logger = components.logger.forComponent('artel:offers')
  const schedule = createSchedule(Math.random)
  let time = 0
  let timer: NodeJS.Timeout | undefined

  function check(): void {
    const fields = offer()
    if (!schedule.isDue(fields, Date.now())) return
    time = Math.max(time + 1, Date.now())
    pubsub
      .publish(topic, encodeOffer(fields, time))
      .catch(err => log('could not publish the offer: %s', (err as Error).message))
  }

  return {
    start(): void {
      pubsub.topicValidators.set(topic, (_, message) =>
        message.type === 'signed'
          ? RESULTS[book.receive(message.from.toString(), message.data, Date.now())]
          : TopicValidatorResult.Reject
      )
      pubsub.subscribe(topic)
      timer = setInterval(check, CHECK_MS)
      timer.unref()
    },
    stop(): void {
      clearInterval(timer)
      pubsub.unsubscribe(topic)
      pubsub.topicValidators.delete(topic)
    }
  }
}
