import type { Connection } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { type ArtelServices, networkId } from '../../bootstrap/index.ts'
import { address, TestNetwork, until } from './nodes.ts'

/** Nothing comes of the first question that each connection is asked over these protocols, as where a machine stood still. */
function losingFirst(lost: string[]) {
  return ({ services }: Libp2pOptions<ArtelServices>): void => {
    // a push of its addresses, as each start makes one, would have the peer met all the same
    Reflect.deleteProperty(services!, 'identifyPush')
    const { identify } = services!
    services!.identify = components => {
      // before libp2p's own
      components.events.addEventListener('connection:open', ({ detail }: CustomEvent<Connection>) => {
        const { newStream } = detail
        const left = new Set(lost)
        detail.newStream = async (protocols, options) => {
          if ([protocols].flat().some(each => left.delete(each))) throw new Error('lost')
          return newStream(protocols, options)
        }
      })
      return identify(components)
    }
  }
}

describe('bootstrap: peers whose first answer was lost', () => {
  let test: TestNetwork
  beforeEach(async () => {
    test = await TestNetwork.create()
  })
  afterEach(() => test.stop())

  async function startTwo(lost: string[]): Promise<void> {
    const seed = await test.startSeed({}, losingFirst(lost))
    await test.start({ seeds: [address(seed)] }, losingFirst(lost))
  }

  it('are met all the same', async () => {
    await startTwo(['/ipfs/id/1.0.0'])
    const topic = `artel/${networkId(test.network)}/offers`
    for (const { libp2p } of test.nodes) libp2p.services.pubsub.subscribe(topic)
    for (const { libp2p } of test.nodes)
      await until(() => libp2p.services.pubsub.getSubscribers(topic).length === 1, 'gossip of the other')
  })

  it('are in the DHT all the same', async () => {
    await startTwo(['/ipfs/ping/1.0.0'])
    const cid = CID.createV1(raw.code, await sha256.digest(Buffer.from('provided')))
    for (const { libp2p } of test.nodes)
      await until(async () => {
        for await (const event of libp2p.services.dht.provide(cid))
          if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') return true
        return false
      }, 'the other takes what is told to the DHT')
  })
})
