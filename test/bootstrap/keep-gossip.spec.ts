import { strict as assert } from 'node:assert'
import type { PeerId, Stream } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'
import { type ArtelServices, type HeliaNode, networkId } from '../../bootstrap/index.ts'
import { address, TestNetwork, until } from './nodes.ts'

/** A heartbeat of gossip is a second; here as many come as are waited for. */
function beat(nodes: readonly HeliaNode[], times = 5): void {
  for (const { libp2p } of nodes)
    for (let i = 0; i < times; i++)
      libp2p.services.pubsub.dispatchEvent(new CustomEvent('gossipsub:heartbeat', { detail: undefined }))
}

const innerOf = ({ libp2p }: HeliaNode) =>
  libp2p.services.pubsub as unknown as {
    streamsOutbound: Map<string, unknown>
    onPeerDisconnected(peer: PeerId): void
    acceptFrom(peer: string): boolean
  }

const gossipOf = ({ libp2p }: HeliaNode): Stream[] =>
  libp2p
    .getConnections()
    .flatMap(({ streams }) => streams)
    .filter(({ protocol }) => protocol.startsWith('/meshsub/'))

describe('bootstrap: gossip between connected peers', () => {
  let test: TestNetwork
  let seed: HeliaNode
  let node: HeliaNode
  let topic: string

  beforeEach(async () => {
    test = await TestNetwork.create()
    topic = `artel/${networkId(test.network)}/offers`
    // a push of its addresses, as each start makes one, would have the peer met once more
    const quiet = ({ services }: Libp2pOptions<ArtelServices>) =>
      Reflect.deleteProperty(services!, 'identifyPush')
    seed = await test.startSeed({}, quiet)
    node = await test.start({ seeds: [address(seed)] }, quiet)
    for (const { libp2p } of test.nodes) libp2p.services.pubsub.subscribe(topic)
    for (const { libp2p } of test.nodes)
      await until(() => libp2p.services.pubsub.getSubscribers(topic).length === 1, 'the other’s subscription')
  })
  afterEach(() => test.stop())

  /** What each publishes gets to the other. */
  async function bothHear(): Promise<void> {
    const heard = new Set<HeliaNode>()
    for (const each of test.nodes)
      each.libp2p.services.pubsub.addEventListener('message', ({ detail }) => {
        if (Buffer.from(detail.data).toString() === 'heard again') heard.add(each)
      })
    await until(async () => {
      beat(test.nodes)
      for (const { libp2p } of test.nodes)
        await libp2p.services.pubsub.publish(topic, Buffer.from('heard again'))
      return heard.size === test.nodes.length
    }, 'both hear the other')
  }

  it('goes on where a stream was lost', async () => {
    const lost = gossipOf(node).filter(({ direction }) => direction === 'inbound')
    assert.equal(lost.length, 1)
    lost[0]!.abort(new Error('lost'))
    await bothHear()
  })

  it('goes on where all streams were lost at both ends', async () => {
    const lost = gossipOf(node)
    assert.equal(lost.length, 2)
    const forgotten = test.nodes.map(each => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const inner = innerOf(each)
      const { onPeerDisconnected } = inner
      inner.onPeerDisconnected = peer => {
        onPeerDisconnected.call(inner, peer)
        resolve()
      }
      return promise
    })
    for (const stream of lost) stream.abort(new Error('lost'))
    await Promise.all(forgotten)
    await bothHear()
  })

  it('goes on where one end has forgotten the other', async () => {
    // as libp2p has it done where a list of the peer's protocols comes late, or the end of an earlier connection
    innerOf(seed).onPeerDisconnected(node.libp2p.peerId)
    assert.equal(seed.libp2p.services.pubsub.getSubscribers(topic).length, 0)
    await bothHear()
  })

  it('goes on where a stream had ended before gossipsub looked', async () => {
    const { streamsOutbound } = innerOf(node)
    const [[id, dead]] = [...streamsOutbound] as [[string, unknown]]
    const [stream] = gossipOf(node).filter(({ direction }) => direction === 'outbound')
    stream!.abort(new Error('lost'))
    // which never forgets it
    streamsOutbound.set(id, dead)
    await bothHear()
  })

  it('tells its subscriptions again to who took nothing for a while', async () => {
    const other = `artel/${networkId(test.network)}/others`
    const inner = innerOf(seed)
    const { acceptFrom } = inner
    const refused = Promise.withResolvers<void>()
    inner.acceptFrom = () => {
      refused.resolve()
      return false
    }
    node.libp2p.services.pubsub.subscribe(other)
    await refused.promise
    inner.acceptFrom = acceptFrom
    await until(() => {
      beat([node], 60)
      return seed.libp2p.services.pubsub.getSubscribers(other).length === 1
    }, 'the seed knows of the subscription')
  })
})
