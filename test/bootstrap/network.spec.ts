import { strict as assert } from 'node:assert'
import { createPublicKey, verify } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import {
  createIdentity,
  createNetwork,
  type Identity,
  loadNetwork,
  type NetworkDefinition,
  networkId,
  saveNetwork,
  signNetwork,
  verifyNetwork
} from '../../bootstrap/index.ts'

describe('bootstrap: network definition', () => {
  let founder: Identity
  let other: Identity
  let network: NetworkDefinition

  before(async () => {
    founder = await createIdentity()
    other = await createIdentity()
    network = await createNetwork(
      { name: 'test', seeds: [`/ip4/127.0.0.1/tcp/4001/p2p/${other.peerId}`], preSharedKey: 'ab'.repeat(32) },
      founder.privateKey
    )
  })

  it('has the seeds as witnesses and 100 credits as grant by default', () => {
    assert.deepEqual(network.witnesses, [other.peerId.toString()])
    assert.deepEqual(network.grant, { amount: '100000000', powBits: 0 })
    assert.equal(network.founder, founder.peerId.toString())
  })

  it('has the founder as witness when there is no seed', async () => {
    const alone = await createNetwork({ name: 'alone' }, founder.privateKey)
    assert.deepEqual(alone.witnesses, [founder.peerId.toString()])
  })

  it('is signed so that node:crypto verifies it, whatever the order of the fields', async () => {
    const { signature, ...unsigned } = JSON.parse(JSON.stringify(network))
    const bytes = Buffer.concat([Buffer.from('artel/network/1\n'), dagCbor.encode(unsigned)])
    const spki = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      founder.privateKey.publicKey.raw
    ])
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    assert.ok(verify(null, bytes, key, Buffer.from(signature, 'base64')))
    const reversed = Object.fromEntries(Object.entries(network).reverse())
    assert.deepEqual(await verifyNetwork(reversed), network)
  })

  it('is refused when any field was changed', async () => {
    const changes: Record<string, unknown> = {
      name: 'tset',
      epoch: 2,
      founder: other.peerId.toString(),
      seeds: [],
      witnesses: [founder.peerId.toString()],
      grant: { amount: '100000001', powBits: 0 },
      preSharedKey: 'cd'.repeat(32),
      signature: Buffer.alloc(64).toString('base64')
    }
    assert.deepEqual(
      Object.keys(changes).sort(),
      Object.keys(network)
        .filter(key => key !== 'v')
        .sort()
    )
    for (const [field, value] of Object.entries(changes)) {
      await assert.rejects(verifyNetwork({ ...network, [field]: value }), { name: 'NetworkError' }, field)
    }
  })

  it('names the field that is wrong', async () => {
    await assert.rejects(
      verifyNetwork({ ...network, seeds: ['/ip4/127.0.0.1/tcp/1'] }),
      /seeds\.0: not a multiaddr/
    )
    await assert.rejects(verifyNetwork({ ...network, unknown: 1 }), { name: 'NetworkError' })
    await assert.rejects(createNetwork({ name: 'Not A Name' }, founder.privateKey), /name: a name has/)
  })

  it('never takes arbitrary JSON for a definition, and always answers with a NetworkError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async value => {
        await assert.rejects(verifyNetwork(value), { name: 'NetworkError' })
      }),
      { numRuns: 200 }
    )
  })

  it('is signed by nobody but its founder', async () => {
    await assert.rejects(signNetwork(network, other.privateKey), {
      name: 'NetworkError',
      message: /signed by its founder/
    })
  })

  it('continues an earlier one only with a later epoch and the same founder', async () => {
    const next = await signNetwork({ ...network, epoch: 2 }, founder.privateKey)
    assert.equal((await verifyNetwork(next, { previous: network })).epoch, 2)
    assert.equal((await verifyNetwork(network, { previous: network })).epoch, 1)
    await assert.rejects(verifyNetwork(network, { previous: next }), /epoch 2 here/)
    const rival = await signNetwork({ ...network, epoch: 1, name: 'test', seeds: [] }, founder.privateKey)
    await assert.rejects(verifyNetwork(rival, { previous: network }), { name: 'NetworkError' })
    const namesake = await createNetwork({ name: 'test' }, other.privateKey)
    await assert.rejects(verifyNetwork(namesake, { previous: network }), /expected network/)
  })

  it('gives two networks of the same name different ids', async () => {
    const namesake = await createNetwork({ name: 'test' }, other.privateKey)
    assert.notEqual(networkId(namesake), networkId(network))
  })

  describe('as a file', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artel-network-'))
    })
    afterEach(() => rm(folder, { recursive: true }))

    it('comes back as it was; with a pre-shared key it is for the owner only', async () => {
      const file = join(folder, 'network.json')
      await saveNetwork(file, network)
      assert.deepEqual(await loadNetwork(file), network)
      await writeFile(file, `\uFEFF${JSON.stringify(network)}`)
      assert.deepEqual(await loadNetwork(file), network)
      assert.equal((await stat(file)).mode & 0o777, 0o600)
    })

    it('names the file when it is missing or not JSON', async () => {
      const file = join(folder, 'network.json')
      await assert.rejects(loadNetwork(file), { name: 'NetworkError', message: /network\.json: ENOENT/ })
      await writeFile(file, '{')
      await assert.rejects(loadNetwork(file), { name: 'NetworkError', message: new RegExp(file) })
    })
  })
})
