import { type GossipSub, TopicValidatorResult } from '@libp2p/gossipsub'
import type { ComponentLogger, Logger, Startable } from '@libp2p/interface'
import type { OfferFields } from '../protocol/compute-messages.ts'
import {
  encodeOffer,
  MIN_INTERVAL_MS,
  OFFER_INTERVAL_MS,
  type OfferBook,
  type Verdict
} from './offer-book.ts'

// The interval of offers varies by this share, so that nodes that began together do not speak together.
const JITTER = 0.2
// A change is noticed after at most this.
const CHECK_MS = 1000

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
