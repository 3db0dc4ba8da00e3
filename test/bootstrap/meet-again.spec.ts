import { strict as assert } from 'node:assert'
import { mock } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import type { Libp2pOptions } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { type ArtelServices, networkId } from '../../bootstrap/index.ts'
import { keepRouted } from '../../bootstrap/keep-routed.ts'
import { meetAgain } from '../../bootstrap/meet-again.ts'
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

describe('bootstrap: connected peers that are asked again', () => {
  const connection = { status: 'open' } as Connection
  const logger = defaultLogger()
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  async function anHour(): Promise<void> {
    for (let s = 0; s < 3600; s++) {
      mock.timers.tick(1000)
      await new Promise(setImmediate)
    }
  }

  it('are asked ever more rarely who they are', async () => {
    let asked = 0
    const identify = async (): Promise<never> => {
      asked++
      throw new Error('it never tells')
    }
    await assert.rejects(meetAgain({ identify } as never, { logger }).identify(connection))
    await anHour()
    assert.ok(asked > 10 && asked < 30, String(asked))
  })

  it('are brought to a table that has no place for them ever more rarely', async () => {
    let brought = 0
    const events = new EventTarget()
    const table = {
      protocol: 'dht',
      routingTable: { find: async () => undefined },
      isStarted: () => true,
      onPeerConnect: async () => void brought++
    }
    keepRouted(table as never, { events: events as never, logger })
    const detail = { connection, protocols: ['dht'], listenAddrs: [] }
    events.dispatchEvent(new CustomEvent('peer:identify', { detail }))
    await anHour()
    assert.ok(brought > 10 && brought < 30, String(brought))
  })
})
