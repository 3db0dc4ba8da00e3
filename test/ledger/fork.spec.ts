import { strict as assert } from 'node:assert'
import { peerIdFromString } from '@libp2p/peer-id'
import { createSigner } from '../../ledger/index.ts'
import { encodeForkProof, verifyForkProof } from '../../ledger/records/fork.ts'
import { type Body, GENESIS_HASH, orderHash } from '../../ledger/records/order.ts'
import { encodeSegment, ORDER_DOMAIN, tipOf, withHashes } from '../../ledger/records/segment.ts'
import { grantOrder, runOf, signerFrom, testNetwork, transferOrder } from './helpers.ts'
import { askWitness, bookOf, newKey, startNetwork, until } from './nodes.ts'

const alice = signerFrom('alice')
const bob = signerFrom('bob')

describe('ledger: fork proofs', () => {
  const first = runOf(alice, [grantOrder])
  const at1 = { seq: 1, prev: tipOf(first) }
  const left = runOf(alice, [transferOrder(bob.account, 1n)], at1)
  const right = runOf(alice, [transferOrder(bob.account, 2n), transferOrder(bob.account, 3n)], at1)
  const refused = { name: 'MalformedError' }

  it('convict who signed two orders with one number, in either order', () => {
    assert.equal(verifyForkProof(encodeForkProof(left, right), testNetwork), alice.account)
    assert.deepEqual(encodeForkProof(left, right), encodeForkProof(right, left))
    const afterRight = runOf(alice, [transferOrder(bob.account, 4n)], { seq: 2, prev: right.hashes[0]! })
    assert.equal(verifyForkProof(encodeForkProof(left, afterRight), testNetwork), alice.account)
  })

  it('do not convict the honest', () => {
    const longer = runOf(alice, [transferOrder(bob.account, 1n), transferOrder(bob.account, 9n)], at1)
    const next = runOf(alice, [transferOrder(bob.account, 9n)], { seq: 2, prev: tipOf(left) })
    for (const [a, b] of [
      [left, left],
      [left, longer],
      [left, next],
      [first, right]
    ] as const)
      assert.throws(() => verifyForkProof(encodeForkProof(a, b), testNetwork), refused)
    const others = runOf(bob, [transferOrder(alice.account, 5n)], at1)
    assert.throws(() => verifyForkProof(encodeForkProof(left, others), testNetwork), refused)
    const unsigned = { ...right, signature: left.signature }
    assert.throws(() => verifyForkProof(encodeForkProof(left, unsigned), testNetwork), refused)
  })

  it('reach every node, freeze the account and burn its escrow, also across a restart and a partition', async () => {
    const net = await startNetwork(1)
    try {
      const nodes = await Promise.all([net.join(), net.join()])
      const key = await newKey()
      const cheat = await net.join({ privateKey: key })
      await cheat.ledger.claimGrant()
      await (await cheat.ledger.escrow('job', 1_000n)).certified
      await cheat.ledger.transfer(nodes[0]!.account, 5n)
      await until('the book is everywhere', () => new Set([...nodes, cheat].map(bookOf)).size === 1)
      // a node that is away while it happens
      const { privateKey, directory } = nodes[1]!
      await nodes[1]!.stop()

      const signer = createSigner(key)
      const order: Body = { type: 'transfer', timeS: 0, to: nodes[0]!.account, amount: 6n, memo: 'again' }
      const bare = {
        account: cheat.account,
        seq: 0,
        prev: GENESIS_HASH,
        orders: [order],
        signature: new Uint8Array(64),
        votes: []
      }
      const run = withHashes(net.network, bare)
      assert.deepEqual(
        tipOf(run),
        orderHash(net.network.id, cheat.account, 0, GENESIS_HASH, [3, 0, keyBytes(order.to), 6n, 'again'])
      )
      const signed = { ...run, signature: signer.sign(ORDER_DOMAIN, tipOf(run)) }
      const answer = await askWitness(net, 'vote', [[], encodeSegment(signed)])
      assert.deepEqual(answer, ['conflict', 3])

      const back = await net.join({ privateKey, directory })
      for (const node of [nodes[0]!, back, net.witnesses[0]!]) {
        await until('the account is frozen', () => node.ledger.supply().burnt === 1_000n)
        const { granted, total } = node.ledger.supply()
        assert.equal(total, granted - 1_000n)
        assert.equal(node.ledger.reputation(cheat.account).score, 0)
      }
      await until('the cheat knows', () => cheat.ledger.balance().reserved === 0n)
      await assert.rejects(cheat.ledger.transfer(nodes[0]!.account, 1n), { name: 'AccountFrozenError' })
    } finally {
      await net.stop()
    }
  })
})

const keyBytes = (account: string): Uint8Array => peerIdFromString(account).publicKey!.raw
