import { strict as assert } from 'node:assert'
import { defaultLogger } from '@libp2p/logger'
import { networkId, offersTopic } from '../../bootstrap/index.ts'
import { createOfferBook } from '../../scheduler/market/offer-book.ts'
import { createOffers } from '../../scheduler/market/offer-gossip.ts'
import type { OfferFields } from '../../scheduler/protocol/compute-messages.ts'
import { address, TestNetwork, until } from '../bootstrap/nodes.ts'

const OFFER: OfferFields = {
  class: 'v8-13.6/x64',
  slots: 4,
  free: 4,
  window: 256,
  walled: true,
  ramMb: 512,
  multiplier: 1.5,
  minPriceMicro: 100,
  tags: ['gpu']
}

describe('scheduler: offers over gossip', () => {
  it('reach the others under the name of who signed them; malformed ones cost the sender its standing', async () => {
    const all = await TestNetwork.create()
    const stops: (() => unknown)[] = []
    try {
      const topic = offersTopic(networkId(all.network))
      const seed = await all.startSeed()
      const worker = await all.start({ seeds: [address(seed)] })
      const [a, b] = [seed.libp2p, worker.libp2p]
      const book = createOfferBook(a.peerId.toString())
      const start = async (node: typeof a, own: ReturnType<typeof createOfferBook>, offer: OfferFields) => {
        const { pubsub } = node.services
        const offers = createOffers(
          { topic, book: own, offer: () => offer },
          { pubsub, logger: defaultLogger() }
        )
        await offers.start()
        stops.push(() => offers.stop())
      }
      await start(a, book, { ...OFFER, slots: 0, free: 0 })
      await start(b, createOfferBook(b.peerId.toString()), OFFER)

      const author = b.peerId.toString()
      await until(() => book.get(author, Date.now()) != null, 'the offer arrives')
      const { peer, time, heard, ...fields } = book.get(author, Date.now())!
      assert.deepEqual(fields, OFFER)
      assert.equal(peer, author)
      assert.ok(time <= heard)

      // `getScore` is not part of gossipsub's interface
      const { pubsub } = a.services as unknown as { pubsub: { getScore(peer: string): number } }
      assert.ok(pubsub.getScore(author) >= 0)
      // three at once are enough, and it is forgiven with time
      let malformed = 0
      await until(async () => {
        await b.services.pubsub.publish(topic, Uint8Array.of(0xff, malformed++))
        return pubsub.getScore(author) <= -80
      }, 'malformed messages')
    } finally {
      for (const stop of stops) await stop()
      await all.stop()
    }
  })
})
