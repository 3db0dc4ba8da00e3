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

/** An offer is published about this often, and counts for the life of three. */
export const OFFER_INTERVAL_MS = 10_000
export const OFFER_TTL_MS = 30_000
/** A change is told at once, but not more often than this. */
export const MIN_INTERVAL_MS = 2000
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
// These names, and the fields with their own.
const MAX_OFFER_VALUES = 128

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
    const parsed = schema.safeParse(decodeValue(data, { maxItems: MAX_OFFER_VALUES }))
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
