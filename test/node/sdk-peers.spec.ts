import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { connect } from '../../node/sdk/index.ts'
import { address, until } from '../bootstrap/nodes.ts'

describe('node: SDK, with peers', () => {
  let folder: string
  const nodes: ArtelNode[] = []
  after(async () => {
    await Promise.all(nodes.map(node => node.stop()))
    await rm(folder, { recursive: true, force: true })
  })

  it('finds the node of this machine, and overflows to peers when they come', async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sdk-'))
    const start = async (name: string, flags: Record<string, unknown>, founds = false) => {
      const config = loadConfig({
        environment: {},
        flags: { data: join(folder, name), logLevel: 'silent', trustedPeers: ['*'], slots: 1, ...flags }
      })
      const node = await createNode(config, { founds })
      nodes.push(node)
      return node
    }
    const own = await start('own', { 'gateway.enabled': true, 'gateway.port': 0 }, true)
    await using artel = await connect({ data: join(folder, 'own') })
    const work = { start: 1, end: 1.5e9, map: (x: number) => Math.sqrt(x), verify: 'none' as const }
    const alone = artel.rangeReduce(work)
    const value = await alone
    assert.deepEqual(
      (await alone.report()).shares.map(({ worker }) => worker),
      [own.id]
    )
    const peer = await start('peer', { seeds: [address(own)] })
    await until(async () => (await artel.offers()).some(({ peer: id }) => id === peer.id), 'the peer offers')
    // a job may be over before the peer has begun
    await until(async () => {
      const shared = artel.rangeReduce(work)
      assert.equal(await shared, value)
      assert.ok((await artel.receipts(await shared.id)).every(({ receipt }) => receipt instanceof Uint8Array))
      const workers = new Set((await shared.report()).shares.map(({ worker }) => worker))
      return [own.id, peer.id].every(id => workers.has(id))
    }, 'both do one job')
    assert.ok((await artel.peers()).some(({ peer: id }) => id === peer.id))
  })
})
