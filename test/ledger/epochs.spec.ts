import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { bookOf, startNetwork, type TestNetwork, type TestNode, until } from './nodes.ts'

const DAY_MS = 86_400_000

for (const count of [1, 4]) {
  describe(`ledger: epochs with ${count} witnesses`, () => {
    let nowMs = 20_000 * DAY_MS + 1_000
    let net: TestNetwork
    let client: TestNode
    const nextDay = (): void => {
      nowMs += DAY_MS
    }
    const entriesOf = (node: TestNode): { log: string; count: number }[] => {
      const db = new DatabaseSync(join(node.directory, 'ledger.sqlite'), { readOnly: true })
      const rows = db.prepare('SELECT log, count(*) AS count FROM entries GROUP BY log').all()
      db.close()
      return rows as unknown as { log: string; count: number }[]
    }

    before(async () => {
      net = await startNetwork(count, { now: () => nowMs })
      client = await net.join()
      await client.ledger.claimGrant()
      await client.ledger.transfer(net.witnesses[0]!.account, 10n)
      await client.ledger.escrow('over night', 1_000n)
    })
    after(() => net.stop())

    it('closes the day with a checkpoint that all nodes take, and goes on', async () => {
      await until('the escrow is everywhere', () =>
        [client, ...net.witnesses].every(node => node.ledger.balance(client.account).reserved === 1_000n)
      )
      await until('all is logged', () => entriesOf(client).length > 0)
      const before = bookOf(client)
      nextDay()
      await until('the new epoch', () =>
        [client, ...net.witnesses].every(node => node.ledger.epoch() === 20_001)
      )
      assert.equal(bookOf(client), before)
      await client.ledger.settle('over night', [{ to: net.witnesses[0]!.account, amount: 7n, slices: 1 }])
      await until('equal books', () => new Set([client, ...net.witnesses].map(bookOf)).size === 1)
      assert.equal(client.ledger.balance(net.witnesses[0]!.account).available, 17n)
    })

    it('gives up old logs, and keeps them in an archive', async () => {
      await until('the old log is gone', () => entriesOf(client).every(({ log }) => log.startsWith('20001/')))
      assert.ok(entriesOf(net.witnesses[0]!).some(({ log }) => log.startsWith('0/')))
    })

    it('keeps the own history', () => {
      assert.deepEqual(
        client.ledger.history().map(({ type, amount }) => [type, amount]),
        [
          ['settle', 7n],
          ['escrow', 1_000n],
          ['transfer', 10n],
          ['grant', 100_000_000n]
        ]
      )
    })

    it('lets a new node join from the checkpoint', async () => {
      const late = await net.join()
      await until('the book', () => bookOf(late) === bookOf(client))
      assert.equal(late.ledger.epoch(), 20_001)
      assert.deepEqual(late.ledger.supply(), client.ledger.supply())
    })

    it('brings back a node that slept for two epochs, with its open orders', async () => {
      await client.stop()
      const other = await net.join()
      await other.ledger.claimGrant()
      await other.ledger.transfer(client.account, 5n)
      nextDay()
      await until('epoch 20002', () => net.witnesses.every(node => node.ledger.epoch() === 20_002))
      await other.ledger.transfer(client.account, 6n)
      nextDay()
      await until('epoch 20003', () => net.witnesses.every(node => node.ledger.epoch() === 20_003))
      client = await net.join({ privateKey: client.privateKey, directory: client.directory })
      await until('the book', () => bookOf(client) === bookOf(other))
      await client.ledger.transfer(other.account, 1n)
      await until('the book', () => bookOf(client) === bookOf(other))
      assert.equal(client.ledger.balance().available, 100_000_000n - 17n + 11n - 1n)
    })

    it('shows the work in the reputation', async () => {
      const worker = net.witnesses[0]!
      const { score, level } = client.ledger.reputation(worker.account)
      // one accepted slice two days ago: (2/3)·0.30 + (2/3)·0.25 + 0.25·0.20 + (2/90)·0.15 + 0.1·0.10
      assert.ok(Math.abs(score - ((2 / 3) * 0.55 + 0.05 + (2 / 90) * 0.15 + 0.01)) < 1e-9, `score ${score}`)
      assert.equal(level, 'poor')
      assert.equal(client.ledger.top(1)[0]!.account, worker.account)
    })
  })
}
