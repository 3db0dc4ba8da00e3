import { strict as assert } from 'node:assert'
import { EXIT } from '../../node/index.ts'
import { Processes } from './processes.ts'

describe('artel: alone', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  it('computes for its owner at the first start and at the next, with no network and no peer', async () => {
    const spec = JSON.stringify({ type: 'range_reduce', start: 1, end: 1000 })
    for (let round = 0; round < 2; round++) {
      const { stdout, stderr, code } = await processes.run(['run', '-', '--data', processes.path('own')], {
        input: spec
      })
      assert.equal(stdout.trim(), '500500', stderr)
      assert.equal(code, 0)
    }
    // the network that it founded is a network: others may come
    const node = processes.start('start', 'own', ['--gateway-port', '0'])
    const { addresses } = await node.ready
    const seed = addresses[0]!
    const other = await processes.run(['run', '-', '--data', processes.path('other'), '--seed', seed], {
      input: spec
    })
    assert.equal(other.stdout.trim(), '500500', other.stderr)
    await node.end()
  })

  it('says what to do when the folder is to join another network', async () => {
    const seed = processes.start('seed', 'seed')
    const address = (await seed.ready).addresses[0]!
    const { code, stderr } = await processes.run([
      'start',
      '--data',
      processes.path('own'),
      '--seed',
      address
    ])
    assert.equal(code, EXIT.usage)
    assert.match(stderr, /which this node founded.*--data/)
  })
})
