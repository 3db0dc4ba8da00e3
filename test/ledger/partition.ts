/**
 * By command: a fork proof reaches 20 nodes after a partition heals. `node --no-node-snapshot test/ledger/partition.ts`
 */

import { encode } from '@ipld/dag-cbor'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { createSigner } from '../../ledger/index.ts'
import { encodeForkProof } from '../../ledger/records/fork.ts'
import { GENESIS_HASH } from '../../ledger/records/order.ts'
import { ORDER_DOMAIN, tipOf, withHashes } from '../../ledger/records/segment.ts'
import { newKey, startNetwork, type TestNode, until } from './nodes.ts'

const NODES = 20

const net = await startNetwork(1)
try {
  const near: TestNode[] = []
  for (let i = 0; i < NODES / 2; i++) near.push(await net.join())
  // the other half knows only its own first node, which alone will meet the rest again
  const first = await net.join({ connectTo: [] })
  const far = [first]
  while (far.length < NODES / 2) far.push(await net.join({ connectTo: [far.at(-1)!] }))

  const key = await newKey()
  const cheat = await net.join({ privateKey: key })
  await cheat.ledger.claimGrant()
  await (await cheat.ledger.escrow('job', 1_000n)).certified
  const signer = createSigner(key)
  const [a, b] = [1n, 2n].map(amount => {
    const run = withHashes(net.network, {
      account: cheat.account,
      seq: 2,
      prev: GENESIS_HASH,
      orders: [{ type: 'transfer', timeS: 0, to: net.witnesses[0]!.account, amount, memo: '' }],
      signature: new Uint8Array(64),
      votes: []
    })
    return { ...run, signature: signer.sign(ORDER_DOMAIN, tipOf(run)) }
  })
  const stream = await first.libp2p
    .dial(net.witnesses[0]!.libp2p.getMultiaddrs())
    .then(() =>
      first.libp2p.dialProtocol(
        peerIdFromString(net.witnesses[0]!.account),
        `/artel/${net.network.id}/ledger/1`
      )
    )
  const healed = performance.now()
  await lpStream(stream).write(encode([1, 'items', [[1, encodeForkProof(a!, b!)]]]))
  for (const [name, nodes] of Object.entries({ near, far })) {
    for (const node of nodes)
      await until('the proof is there', () => node.ledger.reputation(cheat.account).score === 0)
    console.log(`${name} half after ${Math.round(performance.now() - healed)} ms`)
  }
} finally {
  await net.stop()
}
