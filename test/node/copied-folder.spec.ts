import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { cp } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { Processes } from './processes.ts'

/** A copy of a data folder has the key of the first: two nodes with one key, as real processes. */
describe('node: a copied data folder', function () {
  this.timeout(120_000)
  let processes: Processes
  beforeEach(async () => {
    processes = await Processes.create()
  })
  afterEach(() => processes.stop())

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
    await processes.start('start', 'first', ['--seed', address!]).ready
    const pay = async () =>
      processes.run(['transfer', (await seed.ready).id, '1', '--yes', '--data', processes.path('first')])
    assert.equal((await pay()).code, 0)
    await cp(processes.path('first'), processes.path('copy'), {
      recursive: true,
      filter: source => !source.endsWith('.sock')
    })
    await refused(['start', '--data', processes.path('copy'), '--seed', address!])
    const after = await pay()
    assert.equal(after.code, 0, after.stderr)
  })

  it('of a seed, on another port: finds the seed at its own address and does not start', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    await processes.start('seed', 'seed', ['--listen', `/ip4/127.0.0.1/tcp/${port}`]).ready
    await cp(processes.path('seed'), processes.path('copy'), {
      recursive: true,
      filter: source => !source.endsWith('.sock')
    })
    await refused(['seed', '--data', processes.path('copy'), '--listen', '/ip4/127.0.0.1/tcp/0'])
  })
})
