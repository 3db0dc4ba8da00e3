import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRandom } from '../simulation/random.ts'
import { signerFrom } from './helpers.ts'
import type { Behaviour } from './process.ts'
import { type NodeProcess, spawnNode } from './spawn.ts'

/** 500 by command: ARTEL_KILLS=500 npx mocha test/ledger/processes.spec.ts */
const KILLS = Number(process.env.ARTEL_KILLS ?? 3)

async function eventually(what: string, isTrue: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

describe('ledger: processes', function () {
  this.timeout(60_000 + KILLS * 10_000)
  let root: string
  let running: NodeProcess[] = []
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'artel-ledger-processes-'))
  })
  afterEach(async () => {
    await Promise.all(running.map(node => node.kill()))
    running = []
    await rm(root, { recursive: true, force: true })
  })

  const networkOf = (witnesses: number) => ({
    id: 'processes',
    witnesses: Array.from({ length: witnesses }, (_, i) => signerFrom(`w${i}`).account),
    grantMicro: '1000000',
    grantBits: 4
  })

  const start = async (
    witnesses: number,
    key: string,
    peers: NodeProcess[],
    behaviour: Behaviour = 'honest'
  ): Promise<NodeProcess> => {
    const node = await spawnNode({
      network: networkOf(witnesses),
      key,
      directory: join(root, key),
      connectTo: peers.map(({ addresses }) => addresses[0]!),
      behaviour
    })
    running.push(node)
    return node
  }

  const equalBooks = (nodes: NodeProcess[]): Promise<void> =>
    eventually('equal books', async () => {
      const books = await Promise.all(nodes.map(node => node.call<string[]>('book')))
      return new Set(books.map(book => book.join())).size === 1
    })

  it('go on with four witnesses of which one is bad, and wait while another is cut off', async () => {
    const bad = await start(4, 'w0', [], 'bad')
    const good: NodeProcess[] = []
    for (const key of ['w1', 'w2', 'w3']) good.push(await start(4, key, [bad, ...good]))
    const alice = await start(4, 'alice', [bad, ...good])
    const bob = await start(4, 'bob', [bad, ...good])
    await alice.call('claimGrant')
    for (let i = 0; i < 10; i++) await alice.call('transfer', bob.account, '10')
    await equalBooks([alice, bob, ...good])

    // with one more cut off there is no quorum: nothing is certified, and nothing is lost
    good[0]!.child.kill('SIGSTOP')
    let isCertified = false
    const transfer = alice.call('transfer', bob.account, '5').then(() => {
      isCertified = true
    })
    await alice.call('escrow', 'job', '50')
    await new Promise(resolve => setTimeout(resolve, 500))
    assert.equal(isCertified, false)
    good[0]!.child.kill('SIGCONT')
    await transfer
    await alice.call('settle', 'job', [{ to: bob.account, amount: '20', slices: 1 }])
    await equalBooks([alice, bob, ...good])
    assert.deepEqual(
      await bob.call('book'),
      [`${alice.account} ${1_000_000 - 125} 0`, `${bob.account} 125 0`].sort()
    )
  })

  it(`lose nothing and pay nothing twice when killed at ${KILLS} random points`, async () => {
    const random = createRandom(Number(process.env.ARTEL_SEED ?? 7))
    const seed = 'w0'
    const witness = await start(1, seed, [])
    let nodes = {
      witness,
      client: await start(1, 'alice', [witness]),
      worker: await start(1, 'bob', [witness])
    }
    await nodes.client.call('claimGrant')
    const acknowledged = { escrow: new Set<string>(), settled: new Set<string>() }
    let job = 0

    /** Jobs one after the other until the process is gone. */
    const work = async (): Promise<void> => {
      try {
        for (const open of await nodes.client.call<string[]>('open')) {
          await nodes.client.call('settle', open, [{ to: nodes.worker.account, amount: '7', slices: 1 }])
          acknowledged.settled.add(open)
        }
        for (;;) {
          const name = `job-${job++}`
          await nodes.client.call('escrow', name, '10')
          acknowledged.escrow.add(name)
          if (random() < 0.5) continue
          await nodes.client.call('settle', name, [{ to: nodes.worker.account, amount: '7', slices: 1 }])
          acknowledged.settled.add(name)
        }
      } catch (error) {
        if (
          (error as Error).message !== 'the process ended' &&
          (error as Error).name !== 'LedgerStoppedError'
        )
          throw error
      }
    }

    for (let kill = 0; kill < KILLS; kill++) {
      const working = work()
      await new Promise(resolve => setTimeout(resolve, random() * 150))
      if (random() < 0.4) {
        // the witness dies in the middle; the client goes on when it is back
        await nodes.witness.kill()
        const again = await start(1, seed, [nodes.client, nodes.worker])
        nodes = { ...nodes, witness: again }
        await new Promise(resolve => setTimeout(resolve, random() * 150))
      }
      await nodes.client.kill()
      await working
      nodes = { ...nodes, client: await start(1, 'alice', [nodes.witness, nodes.worker]) }
    }

    const open = new Set(await nodes.client.call<string[]>('open'))
    for (const name of acknowledged.settled) assert.ok(!open.has(name), `settlement of ${name} is lost`)
    for (const name of open)
      await nodes.client.call('settle', name, [{ to: nodes.worker.account, amount: '7', slices: 1 }])
    // settled already, so this changes nothing; unknown, it would fail
    for (const name of acknowledged.escrow)
      await nodes.client.call('settle', name, [{ to: nodes.worker.account, amount: '1', slices: 1 }])
    await equalBooks(Object.values(nodes))
    const book = new Map(
      (await nodes.worker.call<string[]>('book')).map(line => {
        const [account, available, reserved] = line.split(' ')
        return [account!, { available: Number(available), reserved: Number(reserved) }]
      })
    )
    const paid = book.get(nodes.worker.account)!.available
    assert.deepEqual(book.get(nodes.client.account), { available: 1_000_000 - paid, reserved: 0 })
    assert.equal(paid % 7, 0)
    // every acknowledged escrow was paid once; of the last one before a kill the answer may be lost
    assert.ok(
      paid / 7 >= acknowledged.escrow.size && paid / 7 <= acknowledged.escrow.size + KILLS,
      `${paid / 7}`
    )
    assert.equal(await nodes.client.call('total'), '1000000')
  })
})
