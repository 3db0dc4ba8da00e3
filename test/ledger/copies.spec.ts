import { strict as assert } from 'node:assert'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerAll, startNetwork, startNode, type TestNetwork, type TestNode, until } from './nodes.ts'

/** The error that a ledger halts with, once it does. */
const haltOf = ({ ledger }: TestNode): { error?: Error } => {
  const halted: { error?: Error } = {}
  ledger.addEventListener('halt', ({ detail }) => {
    halted.error = detail
  })
  return halted
}

for (const count of [1, 4]) {
  describe(`ledger: a copy of a data folder, ${count} witnesses`, () => {
    let net: TestNetwork
    let first: TestNode
    let copy: string
    beforeEach(async () => {
      net = await startNetwork(count)
      first = await net.join()
      await first.ledger.claimGrant()
      copy = await mkdtemp(join(tmpdir(), 'artel-ledger-copy-'))
      await cp(first.directory, copy, { recursive: true })
    })
    afterEach(async () => {
      await net.stop()
      await rm(copy, { recursive: true, force: true })
    })

    const startCopy = (connectTo = net.witnesses): Promise<TestNode> =>
      net.join({ privateKey: first.privateKey, directory: copy, connectTo })
    const to = (): string => net.witnesses[0]!.account

    it('signs nothing beside the first, says so, and the first goes on', async () => {
      const second = await startCopy([])
      const halted = haltOf(second)
      // what it signs before it meets anybody stays in its own folder
      const early = second.ledger.transfer(to(), 7n)
      early.catch(() => undefined) // looked at below
      for (const witness of net.witnesses) await second.libp2p.dial(witness.libp2p.getMultiaddrs())
      await until('the copy halts', () => halted.error != null)
      assert.equal(halted.error!.name, 'KeyInUseError')
      assert.match(halted.error!.message, /copy.*Stop the other first.*--data/)
      await assert.rejects(early, { name: 'KeyInUseError' })
      await assert.rejects(second.ledger.transfer(to(), 1n), { name: 'KeyInUseError' })
      await first.ledger.transfer(to(), 2n)
      assert.equal(first.ledger.balance().available, net.network.grantMicro - 2n)
      assert.equal(first.ledger.reputation().score > 0, true, 'not frozen')
    })

    it('takes over when the first has ended, with what the first has signed since', async () => {
      await first.ledger.transfer(to(), 2n)
      await first.stop()
      const second = await startCopy()
      await until(
        'it knows what the first signed',
        () => second.ledger.balance().available === net.network.grantMicro - 2n
      )
      await second.ledger.transfer(to(), 3n)
      assert.equal(second.ledger.balance().available, net.network.grantMicro - 5n)
    })

    it('that took over while the first was away is not forked when the first comes back with orders of its own', async () => {
      for (const peer of first.libp2p.getPeers()) await first.libp2p.hangUp(peer)
      const second = await startCopy()
      await second.ledger.transfer(to(), 3n)
      await second.stop()
      // signed without the witnesses, with a number that is taken meanwhile
      const late = first.ledger.transfer(to(), 5n)
      const refused = assert.rejects(late, { name: 'InvalidOrderError', message: /older copy.*Try again/ })
      for (const witness of net.witnesses) await first.libp2p.dial(witness.libp2p.getMultiaddrs())
      await refused
      await first.ledger.transfer(to(), 5n)
      assert.equal(first.ledger.balance().available, net.network.grantMicro - 8n)
    })

    it('of the first witness halts it, and the witness goes on', async () => {
      const witness = net.witnesses[0]!
      const folder = await mkdtemp(join(tmpdir(), 'artel-ledger-copy-'))
      await cp(witness.directory, folder, { recursive: true })
      const second = await startNode({
        network: net.network,
        privateKey: witness.privateKey,
        directory: folder
      })
      try {
        const halted = haltOf(second)
        await second.libp2p.dial(first.libp2p.getMultiaddrs())
        await until('the copy halts', () => halted.error != null)
        await first.ledger.transfer(to(), 2n)
      } finally {
        await second.stop()
        await rm(folder, { recursive: true })
      }
    })
  })
}

describe('ledger: who speaks for an account', () => {
  it('cannot be invented by a stranger', async () => {
    const net = await startNetwork(1)
    try {
      const client = await net.join()
      const halted = haltOf(client)
      // it answers every introduction with a word that nobody signed
      const liar = await net.join({ connectTo: [] })
      await liar.libp2p.unhandle(`/artel/${net.network.id}/ledger/1`)
      let asked = 0
      await answerAll(liar, net.network.id, () => {
        asked += 1
        return [new Uint8Array(16), 1e9, new Uint8Array(64)]
      })
      await client.libp2p.dial(liar.libp2p.getMultiaddrs())
      await until('it was asked', () => asked > 0)
      await client.ledger.claimGrant()
      assert.equal(halted.error, undefined)
    } finally {
      await net.stop()
    }
  })
})
