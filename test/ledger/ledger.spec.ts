import { strict as assert } from 'node:assert'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { createSigner } from '../../ledger/index.ts'
import {
  decodeSegment,
  encodeSegment,
  ORDER_DOMAIN,
  tipOf,
  withHashes
} from '../../ledger/records/segment.ts'
import { isOver } from '../../ledger/time.ts'
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
    // nobody waits for this certificate: that it never comes must not end the process
    await alone.ledger.escrow('offline', 500n)
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    assert.deepEqual(alone.ledger.openEscrows(), [{ job: 'offline', bound: 500n }])
    const parties = { from: alone.account, to: net.witnesses[0]!.account }
    const sent = alone.ledger.transfer(parties.to, 3n, { memo: 'bill' })
    sent.catch(() => undefined) // looked at below
    await until('the transfer is signed', () => alone.ledger.transferOf('bill', parties) != null)
    assert.deepEqual(alone.ledger.transferOf('bill', parties), { amount: 3n, isCertified: false })
    await alone.stop()
    await assert.rejects(sent, { name: 'LedgerStoppedError' })
    await assert.rejects(escrow.certified, { name: 'LedgerStoppedError' })
    // Node tells of them before it comes to timers and immediates
    await setImmediate()
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])

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

  it('with a bit that flipped forks nothing: what is damaged is fetched again', async () => {
    const net = await startNetwork(1)
    try {
      const client = await net.join()
      const to = net.witnesses[0]!.account
      await client.ledger.claimGrant()
      await client.ledger.transfer(to, 1n)
      const { privateKey, directory } = client
      await client.stop()
      const offline = await startNode({ network: net.network, privateKey, directory })
      const pending = offline.ledger.transfer(to, 2n)
      pending.catch(() => undefined) // stopped below
      await until('it is signed', () => offline.ledger.balance().available === 100_000_000n - 3n)
      await offline.stop()
      for (const [table, column] of [
        ['segments', 'bytes'],
        ['own', 'body']
      ]) {
        const db = new DatabaseSync(join(directory, 'ledger.sqlite'))
        for (const row of db.prepare(`SELECT rowid AS id, ${column} AS bytes FROM ${table}`).all()) {
          const bytes = row.bytes as Uint8Array
          // in the last order: of its amount, or its signature
          bytes[Math.floor(bytes.length / 2)]! ^= 1
          db.prepare(`UPDATE ${table} SET ${column} = ? WHERE rowid = ?`).run(bytes, row.id as number)
        }
        db.close()
      }
      const again = await net.join({ privateKey, directory })
      await until('the book is whole', () => bookOf(again) === bookOf(net.witnesses[0]!))
      await again.ledger.transfer(to, 4n)
      assert.equal(again.ledger.balance().available, 100_000_000n - 5n)
    } finally {
      await net.stop()
    }
  })

  it('of another account is refused by name', async () => {
    const net = await startNetwork(1)
    try {
      const client = await net.join()
      await client.stop()
      await assert.rejects(startNode({ network: net.network, directory: client.directory }), {
        name: 'LedgerFolderError',
        message: new RegExp(`is of account ${client.account} in ${net.network.id}.*put the key`)
      })
    } finally {
      await net.stop()
    }
  })
})

describe('ledger: clocks that are wrong by years', () => {
  const YEAR_MS = 365 * 86_400_000

  it('pay, certify and replicate while they jump ahead and back', async () => {
    let offset = 0
    const net = await startNetwork(1, { now: () => Date.now() + offset })
    try {
      const client = await net.join()
      const to = net.witnesses[0]!.account
      await client.ledger.claimGrant()
      for (const years of [3, -5, 0]) {
        offset = years * YEAR_MS
        await client.ledger.transfer(to, 1n)
        const late = await net.join()
        await until(`a late node has the book, ${years} years off`, () => bookOf(late) === bookOf(client))
        await late.stop()
      }
      assert.equal(client.ledger.balance().available, 100_000_000n - 3n)
    } finally {
      await net.stop()
    }
  })

  it('of one witness in four close no epoch, and hold nobody up', async () => {
    const net = await startNetwork(4)
    try {
      const ahead = net.witnesses[3]!
      await ahead.stop()
      const { privateKey, directory } = ahead
      const connectTo = net.witnesses.slice(0, 3)
      const again = await net.join({ privateKey, directory, connectTo, now: () => Date.now() + 10 * YEAR_MS })
      const client = await net.join({
        connectTo: [...connectTo, again],
        now: () => Date.now() - 10 * YEAR_MS
      })
      await client.ledger.claimGrant()
      await client.ledger.transfer(net.witnesses[0]!.account, 1n)
      await until('the book is everywhere', () =>
        net.witnesses.slice(0, 3).every(witness => bookOf(witness) === bookOf(client))
      )
      assert.equal(client.ledger.epoch(), 0)
    } finally {
      await net.stop()
    }
  })

  it('what lies ahead of a clock that was set back is due at once', () => {
    assert.equal(isOver(1_000, 50, 900), true)
    assert.equal(isOver(1_000, 50, 1_049), false)
    assert.equal(isOver(1_000, 50, 1_050), true)
  })
})
