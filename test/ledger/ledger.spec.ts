import { strict as assert } from 'node:assert'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner } from '../../ledger/index.ts'
import {
  decodeSegment,
  encodeSegment,
  ORDER_DOMAIN,
  tipOf,
  withHashes
} from '../../ledger/records/segment.ts'
import { ledgerCompliance } from '../compliance/ledger.ts'
import {
  askWitness,
  bookOf,
  startNetwork,
  startNode,
  type TestNetwork,
  type TestNode,
  until
} from './nodes.ts'

for (const witnesses of [1, 4]) {
  ledgerCompliance(`${witnesses} witnesses`, async () => {
    const net = await startNetwork(witnesses)
    const rich = await net.join()
    const poor = await net.join()
    return {
      rich: rich.ledger,
      poor: poor.ledger,
      grantMicro: net.network.grantMicro,
      settled: () => until('both books are equal', () => bookOf(rich) === bookOf(poor)),
      teardown: net.stop
    }
  })
}

describe('ledger: nodes', () => {
  let net: TestNetwork
  let client: TestNode
  before(async () => {
    net = await startNetwork(1)
    client = await net.join()
    await client.ledger.claimGrant()
  })
  after(() => net.stop())

  it('gives a late node the same balances', async () => {
    await client.ledger.transfer(net.witnesses[0]!.account, 7n)
    const late = await net.join()
    await until('the late node has the book', () => bookOf(late) === bookOf(client))
    assert.equal(late.ledger.balance(net.witnesses[0]!.account).available, 7n)
  })

  it('works for a witness as its own client', async () => {
    const witness = net.witnesses[0]!
    const before = client.ledger.balance().available
    await witness.ledger.claimGrant()
    await witness.ledger.transfer(client.account, 5n)
    await until('the payment arrived', () => client.ledger.balance().available === before + 5n)
  })

  it('keeps orders while no witness can be reached, and certifies them later', async () => {
    await client.stop()
    const alone = await startNode({
      network: net.network,
      privateKey: client.privateKey,
      directory: client.directory
    })
    const escrow = await alone.ledger.escrow('offline', 500n)
    assert.deepEqual(alone.ledger.openEscrows(), [{ job: 'offline', bound: 500n }])
    const parties = { from: alone.account, to: net.witnesses[0]!.account }
    const sent = alone.ledger.transfer(parties.to, 3n, { memo: 'bill' })
    sent.catch(() => undefined) // looked at below
    await until('the transfer is signed', () => alone.ledger.transferOf('bill', parties) != null)
    assert.deepEqual(alone.ledger.transferOf('bill', parties), { amount: 3n, isCertified: false })
    await alone.stop()
    await assert.rejects(sent, { name: 'LedgerStoppedError' })
    await assert.rejects(escrow.certified, { name: 'LedgerStoppedError' })

    client = await net.join({ privateKey: client.privateKey, directory: client.directory })
    await (await client.ledger.escrow('offline', 500n)).certified
    await until('the transfer is certified', () => client.ledger.transferOf('bill', parties)!.isCertified)
    await client.ledger.settle('offline', [])
    await until('witness has the book', () => bookOf(client) === bookOf(net.witnesses[0]!))
  })

  it('recovers a lost data folder before it signs anything', async () => {
    await client.stop()
    const again = await net.join({ privateKey: client.privateKey })
    await again.ledger.transfer(net.witnesses[0]!.account, 1n)
    await until('witness has the book', () => bookOf(again) === bookOf(net.witnesses[0]!))
  })
})

describe('ledger: data folders', () => {
  it('an old copy of the folder does not sign twice', async () => {
    const net = await startNetwork(1)
    try {
      const client = await net.join()
      await client.ledger.claimGrant()
      await client.ledger.transfer(net.witnesses[0]!.account, 1n)
      await client.stop()
      const copy = await mkdtemp(join(tmpdir(), 'artel-ledger-copy-'))
      await cp(client.directory, copy, { recursive: true })
      const { privateKey, directory } = client
      const later = await net.join({ privateKey, directory })
      await later.ledger.transfer(net.witnesses[0]!.account, 2n)
      await later.stop()

      const old = await startNode({ network: net.network, privateKey, directory: copy })
      const lost = await old.ledger.escrow('job', 5n)
      await Promise.all([
        assert.rejects(lost.certified, { name: 'InvalidOrderError' }),
        old.libp2p.dial(net.witnesses[0]!.libp2p.getMultiaddrs())
      ])
      await (await old.ledger.escrow('job', 5n)).certified
      await old.ledger.transfer(net.witnesses[0]!.account, 4n)
      await until('equal books', () => bookOf(old) === bookOf(net.witnesses[0]!))
      assert.deepEqual(old.ledger.balance(), { available: 100_000_000n - 12n, reserved: 5n })
      await old.stop()
      await rm(copy, { recursive: true })
    } finally {
      await net.stop()
    }
  })

  it('takes up a run that got votes and no certificate, before anything else', async () => {
    const net = await startNetwork(1)
    try {
      const client = await net.join()
      const to = net.witnesses[0]!.account
      const { privateKey, directory, account } = client
      await client.ledger.claimGrant()
      await until('the grant is everywhere', () => bookOf(client) === bookOf(net.witnesses[0]!))
      await client.stop()
      const chain = (await askWitness(net, 'chain', [account, 0])) as [number, Uint8Array[]]
      // signed in a life of the folder that is lost
      const known = decodeSegment(chain[1][0]!, net.network)
      const run = withHashes(net.network, {
        account,
        seq: 1,
        prev: tipOf(known),
        orders: [{ type: 'transfer', timeS: 0, to, amount: 2n, memo: '' }],
        signature: new Uint8Array(64),
        votes: []
      })
      const signature = createSigner(privateKey).sign(ORDER_DOMAIN, tipOf(run))
      const answer = (await askWitness(net, 'vote', [[], encodeSegment({ ...run, signature })])) as unknown[]
      assert.equal(answer.length, 1)

      const old = await startNode({ network: net.network, privateKey, directory })
      const lost = await old.ledger.escrow('job', 5n)
      await Promise.all([
        assert.rejects(lost.certified, { name: 'InvalidOrderError' }),
        old.libp2p.dial(net.witnesses[0]!.libp2p.getMultiaddrs())
      ])
      await (await old.ledger.escrow('job', 5n)).certified
      await until('equal books', () => bookOf(old) === bookOf(net.witnesses[0]!))
      assert.deepEqual(old.ledger.balance(), { available: 100_000_000n - 7n, reserved: 5n })
      await old.stop()
    } finally {
      await net.stop()
    }
  })
})
