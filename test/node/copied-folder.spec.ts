import { strict as assert } from 'node:assert'
import { cp } from 'node:fs/promises'
import { ownAddress } from '../bootstrap/nodes.ts'
import { type Daemon, Processes } from './processes.ts'

/** A copy of a data folder has the key of the first: two nodes with one key, as real processes. */
describe('node: a copied data folder', () => {
  let processes: Processes
  beforeEach(async () => {
    processes = await Processes.create()
  })
  afterEach(() => processes.stop())

  /** Copies the folder of a node while that is stopped, so that no file of it comes or goes meanwhile. */
  const copied = async (node: Daemon, name: string): Promise<void> => {
    await node.ready
    await node.end()
    await cp(processes.path(name), processes.path('copy'), { recursive: true })
  }

  const refused = async (args: string[]): Promise<void> => {
    const copy = await processes.run(args)
    assert.equal(copy.code, 3, copy.stderr)
    assert.match(
      copy.stderr,
      /^artel: Another process speaks with the key of this node .*Stop the other first.*--data/m
    )
  }

  it('of a client, beside the first: ends with what to do, and the first goes on unharmed', async () => {
    const seed = processes.start('seed', 'seed')
    const [address] = (await seed.ready).addresses
    const first = processes.start('start', 'first', ['--seed', address!])
    await first.ready
    const pay = async () =>
      processes.run(['transfer', (await seed.ready).id, '1', '--yes', '--data', processes.path('first')])
    assert.equal((await pay()).code, 0)
    await copied(first, 'first')
    await processes.start('start', 'first', ['--seed', address!]).ready
    await refused(['start', '--data', processes.path('copy'), '--seed', address!])
    const after = await pay()
    assert.equal(after.code, 0, after.stderr)
  })

  it('of a seed, on another port: finds the seed at its own address and does not start', async () => {
    const at = ['--listen', ownAddress().listen]
    await copied(processes.start('seed', 'seed', at), 'seed')
    await processes.start('seed', 'seed', at).ready
    await refused(['seed', '--data', processes.path('copy'), '--listen', '/ip4/127.0.0.1/tcp/0'])
  })
})
