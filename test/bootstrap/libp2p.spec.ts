import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import {
  createIdentity,
  createNetwork,
  fetchNetwork,
  type HeliaNode,
  networkId
} from '../../bootstrap/index.ts'
import { address, isConnected, ownAddress, TestNetwork, until } from './nodes.ts'

describe('bootstrap: libp2p and Helia', () => {
  let test: TestNetwork

  beforeEach(async () => {
    test = await TestNetwork.create()
  })
  afterEach(() => test.stop())

  it('listens on loopback only, unless told', async () => {
    const node = await test.start()
    const hosts = node.libp2p.getMultiaddrs().map(a => a.getComponents()[0]?.value)
    assert.deepEqual([...new Set(hosts)], ['127.0.0.1'])
  })

  it('lets nodes that know one seed find each other', async () => {
    const seed = await test.startSeed()
    const a = await test.start({ seeds: [address(seed)] })
    const b = await test.start({ seeds: [address(seed)] })
    await until(() => isConnected(a, b), 'a and b are connected')
  })

  it('keeps trying a seed that is not there yet', async () => {
    const listen = [ownAddress().listen]
    const node = await test.start({ seeds: [`${listen[0]}/p2p/${test.seed.peerId}`] })
    assert.equal(node.libp2p.getPeers().length, 0)
    const seed = await test.startSeed({ listen })
    await until(() => isConnected(node, seed), 'the node has found the late seed')
    await seed.stop()
    await until(() => !isConnected(node, seed), 'the node has noticed')
    const again = await test.startSeed({ listen })
    await until(() => isConnected(node, again), 'the node has found the restarted seed')
  })

  it('lets a protocol meet peers that were there before it', async () => {
    const seed = await test.startSeed()
    await seed.libp2p.handle('/test/1', stream => stream.abort(new Error('enough')))
    const node = await test.start()
    await node.libp2p.dial(seed.libp2p.getMultiaddrs())
    await until(async () => {
      const [peer] = await node.libp2p.peerStore.all()
      return peer != null && peer.protocols.length > 0
    }, 'identified')
    const met = Promise.withResolvers<string>()
    await node.libp2p.register('/test/1', { onConnect: peer => met.resolve(peer.toString()) })
    await node.meetPeers()
    assert.equal(await met.promise, seed.libp2p.peerId.toString())
  })

  it('sends blocks to each other by CID', async () => {
    const seed = await test.startSeed()
    const node = await test.start({ seeds: [address(seed)] })
    const bytes = dagCbor.encode({ hello: 'world' })
    const cid = CID.createV1(dagCbor.code, await sha256.digest(bytes))
    await seed.helia.blockstore.put(cid, bytes)
    await until(() => isConnected(node, seed), 'connected')
    const chunks: Uint8Array[] = []
    const signal = AbortSignal.timeout(240_000)
    for await (const chunk of node.helia.blockstore.get(cid, { signal })) chunks.push(chunk)
    assert.deepEqual(dagCbor.decode(Buffer.concat(chunks)), { hello: 'world' })
  })

  it('relays gossip of allowed topics and does not even remember others', async () => {
    const id = networkId(test.network)
    const orbit = `/orbitdb/${'zdpuA'.repeat(9)}`
    const offers = `artel/${id}/offers`
    const seed = await test.startSeed()
    const node = await test.start({ seeds: [address(seed)] })
    await until(() => isConnected(node, seed), 'connected')
    const { pubsub } = seed.libp2p.services
    for (const topic of ['stranger', 'artel/other/offers', offers, orbit]) {
      node.libp2p.services.pubsub.subscribe(topic)
      pubsub.subscribe(topic)
    }
    await until(() => pubsub.getSubscribers(orbit).length === 1, 'the seed knows of the subscriptions')
    assert.equal(pubsub.getSubscribers(offers).length, 1)
    assert.equal(pubsub.getSubscribers('stranger').length, 0)
    assert.equal(pubsub.getSubscribers('artel/other/offers').length, 0)
    const received: string[] = []
    pubsub.addEventListener('message', ({ detail }) => received.push(detail.topic))
    const ours = node.libp2p.services.pubsub
    await until(() => ours.getSubscribers(offers).length === 1, 'the node knows of the seed’s')
    await until(async () => {
      await ours.publish(offers, Buffer.from('offer'))
      return received.length > 0
    }, 'the seed has got the offer')
    assert.equal(received[0], offers)
  })

  it('tells its gossip to others while a peer does not answer', async () => {
    const topic = `artel/${networkId(test.network)}/offers`
    const [seed, silent, node] = await Promise.all([test.startSeed(), test.start(), test.start()])
    seed.libp2p.services.pubsub.subscribe(topic)
    // as a peer whose answer to the negotiation never comes
    seed.libp2p.addEventListener('connection:open', ({ detail: connection }) => {
      if (!connection.remotePeer.equals(silent.libp2p.peerId)) return
      const { newStream } = connection
      connection.newStream = (protocols, options) =>
        [protocols].flat().some(each => each.startsWith('/meshsub/'))
          ? new Promise(() => {})
          : newStream.call(connection, protocols, options)
    })
    await silent.libp2p.dial(seed.libp2p.getMultiaddrs())
    await until(() => seed.libp2p.services.pubsub.getPeers().length > 0, 'gossip of the silent one')
    await node.libp2p.dial(seed.libp2p.getMultiaddrs())
    await until(
      () => node.libp2p.services.pubsub.getSubscribers(topic).length === 1,
      'the other knows of the seed'
    )
  })

  it('takes gossip of who answers late on a busy machine, not of who floods', async () => {
    const seed = await test.startSeed()
    const node = await test.start({ seeds: [address(seed)] })
    await until(() => isConnected(node, seed), 'connected')
    const { pubsub } = seed.libp2p.services
    const { score } = pubsub as unknown as {
      score: {
        addPenalty(peer: string, times: number, why: string): void
        score(peer: string): number
        scoreCache: Map<string, unknown>
      }
    }
    const peer = node.libp2p.peerId.toString()
    await until(() => pubsub.getPeers().length > 0, 'a stream of gossip')
    const scoreAfter = (times: number): number => {
      score.addPenalty(peer, times, 'BrokenPromise')
      score.scoreCache.clear()
      return score.score(peer)
    }
    // gossipsub believes ten IHAVE of a peer per heartbeat, and takes nothing of who is below −80
    assert.ok(scoreAfter(10) > -80)
    assert.ok(scoreAfter(1000) < -80)
  })

  it('keeps the mesh of 20 nodes on one address alive', async () => {
    const topic = `artel/${networkId(test.network)}/offers`
    const seed = await test.startSeed()
    seed.libp2p.services.pubsub.subscribe(topic)
    for (let i = 0; i < 19; i++) {
      const node = await test.start({ seeds: [address(seed)] })
      node.libp2p.services.pubsub.subscribe(topic)
    }
    await until(() => seed.libp2p.services.pubsub.getSubscribers(topic).length === 19, 'all have subscribed')
    const reached = new Set<HeliaNode>()
    for (const node of test.nodes)
      node.libp2p.services.pubsub.addEventListener('message', () => reached.add(node))
    // an offer is told again and again: one that a slow machine loses is no harm, a mesh that stays empty is
    const { pubsub } = test.nodes.at(-1)!.libp2p.services
    await until(() => pubsub.getSubscribers(topic).length > 0, 'the last one knows somebody')
    await until(async () => {
      await pubsub.publish(topic, Buffer.from('offer'))
      return reached.size === 19
    }, 'all others have got an offer')
  })

  it('keeps networks with the same name apart', async () => {
    const seed = await test.startSeed()
    const rival = await TestNetwork.create()
    try {
      const stranger = await rival.start({ seeds: [address(seed)] })
      await until(() => isConnected(stranger, seed), 'connected')
      const peer = await stranger.libp2p.dialProtocol(seed.libp2p.peerId, '/artel/network/1.0.0')
      peer.abort(new Error('enough'))
      await assert.rejects(
        stranger.libp2p.dialProtocol(seed.libp2p.peerId, `/artel/${networkId(rival.network)}/kad/1.0.0`)
      )
    } finally {
      await rival.stop()
    }
  })

  it('lets nobody in without the pre-shared key', async () => {
    const secret = await TestNetwork.create({ preSharedKey: '07'.repeat(32) })
    try {
      const seed = await secret.startSeed()
      const member = await secret.start({ seeds: [address(seed)] })
      await until(() => isConnected(member, seed), 'the member is in')
      const stranger = await test.start()
      await assert.rejects(
        stranger.libp2p.dial(seed.libp2p.getMultiaddrs(), { signal: AbortSignal.timeout(5_000) })
      )
    } finally {
      await secret.stop()
    }
  })

  it('refuses a blocked peer in both directions', async () => {
    const blocked = await test.start()
    const node = await test.start({ blockedPeers: [blocked.libp2p.peerId.toString()] })
    await assert.rejects(node.libp2p.dial(blocked.libp2p.getMultiaddrs()))
    await blocked.libp2p.dial(node.libp2p.getMultiaddrs()).catch(() => {})
    await until(() => !isConnected(blocked, node) && !isConnected(node, blocked), 'the connection is gone')
  })

  it('says which port is in use', async () => {
    const first = await test.start()
    const listen = [address(first).replace(/\/p2p\/.*/, '')]
    await assert.rejects(test.start({ listen }), error => {
      assert.equal((error as Error).name, 'ListenError')
      assert.ok((error as Error).message.includes(listen[0]!), (error as Error).message)
      assert.match((error as Error).message, /in use.*--listen/)
      return true
    })
  })

  it('keeps its blocks over a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-helia-'))
    try {
      const bytes = Buffer.from('kept')
      const cid = CID.createV1(0x55, await sha256.digest(bytes))
      const first = await test.start({ folder })
      await first.helia.blockstore.put(cid, bytes)
      await first.stop()
      const second = await test.start({ folder })
      assert.ok(await second.helia.blockstore.has(cid))
      await second.stop()
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  describe('asking a seed for the definition', () => {
    /** Asked again while it is only late, until it is not believed for this reason. */
    const refused = (asked: string, why: RegExp): Promise<void> =>
      until(
        () =>
          fetchNetwork(asked).then(
            () => assert.fail('it was believed'),
            ({ name, message }: Error) => {
              assert.equal(name, 'SeedError')
              return why.test(message)
            }
          ),
        `refused: ${why}`
      )

    it('gives the definition to who knows only the address', async () => {
      const seed = await test.startSeed()
      await until(async () => {
        const network = await fetchNetwork(address(seed)).catch(() => undefined) // late on a busy machine
        if (network != null) assert.deepEqual(network, test.network)
        return network != null
      }, 'the definition')
    })

    it('does not believe a node that the definition does not name', async () => {
      const node = await test.start()
      await refused(address(node), /does not name it/)
    })

    it('does not believe another peer at the address of the seed', async () => {
      const seed = await test.startSeed()
      const other = await createIdentity()
      const wrong = address(seed).replace(/p2p\/.*/, `p2p/${other.peerId}`)
      await assert.rejects(fetchNetwork(wrong), { name: 'SeedError' })
    })

    it('does not believe a changed definition', async () => {
      const forged = new TestNetwork(test.seed, {
        ...(await createNetwork({ name: 'test' }, test.seed.privateKey)),
        witnesses: [(await createIdentity()).peerId.toString()]
      })
      try {
        const seed = await forged.startSeed()
        await refused(address(seed), /not signed/)
      } finally {
        await forged.stop()
      }
    })

    it('says that nobody is there', async () => {
      const seed = await test.startSeed()
      const gone = address(seed)
      await test.stop()
      await assert.rejects(fetchNetwork(gone), {
        name: 'SeedError',
        message: new RegExp(gone)
      })
    })
  })
})
