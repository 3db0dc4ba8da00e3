import { strict as assert } from 'node:assert'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { defaultLogger } from '@libp2p/logger'
import type { HeliaNode } from '../../bootstrap/index.ts'
import { networkId } from '../../bootstrap/index.ts'
import { COMPUTE_SERVICE, createDirectory, serviceCid } from '../../services/index.ts'
import { address, isConnected, TestNetwork, until } from '../bootstrap/nodes.ts'
import { type DirectoryNode, directorySuite, providers } from '../compliance/directory.ts'

async function directoryOf(node: HeliaNode, validityMs = 60_000): Promise<DirectoryNode> {
  const { libp2p } = node
  const directory = createDirectory({ validityMs })({
    peerId: libp2p.peerId,
    dht: libp2p.services.dht,
    events: libp2p,
    logger: defaultLogger()
  })
  await directory.start()
  return { id: libp2p.peerId.toString(), directory }
}

directorySuite('over the DHT of real nodes', () => {
  let test: TestNetwork
  const started: DirectoryNode[] = []
  return {
    async start(count) {
      test = await TestNetwork.create()
      const seed = await test.startSeed()
      for (let i = 1; i < count; i++) await test.start({ seeds: [address(seed)] })
      await until(() => test.nodes.slice(1).every(node => isConnected(node, seed)), 'all are connected')
      for (const node of test.nodes) started.push(await directoryOf(node))
      return started
    },
    async stop() {
      for (const { directory } of started.splice(0)) await directory.stop()
      await test.stop()
    }
  }
})

describe('directory: records over time', () => {
  const validityMs = 5_000
  const service = 'artel/test/1'
  let test: TestNetwork
  const started: DirectoryNode[] = []

  const start = async (seeds: string[], role: 'seed' | 'node'): Promise<DirectoryNode> => {
    const init = { seeds, role, ...(role === 'seed' ? { identity: test.seed } : {}) }
    const node = await test.start(init, options => {
      options.services!.dht = kadDHT({
        protocol: `/artel/${networkId(test.network)}/kad/1.0.0`,
        peerInfoMapper: passthroughMapper,
        clientMode: false,
        reprovide: { validity: validityMs, interval: 200, threshold: 0 }
      })
    })
    const directory = await directoryOf(node, validityMs)
    started.push(directory)
    return directory
  }

  beforeEach(async () => {
    test = await TestNetwork.create()
  })
  afterEach(async () => {
    for (const { directory } of started.splice(0)) await directory.stop()
    await test.stop()
  })

  it('announces as soon as somebody is there to tell, and renews before a record expires', async () => {
    const worker = await start([], 'node')
    worker.directory.announce(service)
    const seed = await start([address(test.nodes[0]!)], 'seed')
    await until(async () => (await providers(seed, service)).length === 1, 'the seed has the record')
    const end = Date.now() + 2 * validityMs
    let [looked, stood] = [Date.now(), -Infinity]
    await until(async () => {
      const { length } = await providers(seed, service)
      const now = Date.now()
      // a process that stands still renews nothing
      if (now - looked > validityMs / 3) stood = now
      looked = now
      assert.ok(length === 1 || now - stood < validityMs, 'a renewed record does not expire')
      return now > end
    }, 'two lives of a record are over')
  })

  it('forgets a provider that has stopped announcing', async () => {
    const seed = await start([], 'seed')
    const worker = await start([address(test.nodes[0]!)], 'node')
    const announced = Date.now()
    worker.directory.announce(service)
    await until(() => worker.directory.announced().get(service) === 1, 'the seed has the record')
    await worker.directory.withdraw(service)
    const found = await providers(seed, service)
    // on a busy machine it may have expired by now
    if (Date.now() - announced < validityMs)
      assert.deepEqual(found, [worker.id], 'a record cannot be called back')
    await until(async () => (await providers(seed, service)).length === 0, 'the record has expired')
  })

  it('ends a search among no peers at its deadline', async () => {
    const alone = await start([], 'node')
    assert.deepEqual(await providers(alone, service, { deadlineMs: 100 }), [])
  })
})

describe('directory: service keys', () => {
  it('are the CID that ipfs derives from the name', () => {
    // echo -n artel/compute/1 | sha256sum, as CIDv1 raw: 01 55 12 20 + digest in base32
    assert.equal(COMPUTE_SERVICE, 'artel/compute/1')
    const hex = 'ec8769f88233f794b0cbc4f891e12b1b9cade80e5b3843cbcfd8043f9274bacc'
    assert.equal(Buffer.from(serviceCid(COMPUTE_SERVICE).bytes).toString('hex'), `01551220${hex}`)
  })
})
