import { strict as assert } from 'node:assert'
import { EXIT } from '../../node/index.ts'
import { Processes } from './processes.ts'

const SPEC = JSON.stringify({ type: 'range_reduce', start: 1, end: 1000 })
// a machine without bubblewrap, whatever this one has
const WITHOUT_BWRAP = [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-euc'],
  'mount --bind /dev/null "$(command -v bwrap)"; exec "$@"',
  'sh'
]

describe('artel: alone', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  it('computes for its owner at the first start and at the next, with no network and no peer', async () => {
    for (let round = 0; round < 2; round++) {
      const { stdout, stderr, code } = await processes.run(['run', '-', '--data', processes.path('own')], {
        input: SPEC
      })
      assert.equal(stdout.trim(), '500500', stderr)
      assert.equal(code, 0)
    }
    // the network that it founded is a network: others may come
    const node = processes.start('start', 'own', ['--gateway-port', '0'])
    const { addresses } = await node.ready
    const seed = addresses[0]!
    const other = await processes.run(['run', '-', '--data', processes.path('other'), '--seed', seed], {
      input: SPEC
    })
    assert.equal(other.stdout.trim(), '500500', other.stderr)
    await node.end()
  })

  it('computes for its owner where a wall is missing', async () => {
    const { stdout, stderr, code } = await processes.run(['run', '-', '--data', processes.path('bare')], {
      input: SPEC,
      inside: WITHOUT_BWRAP
    })
    assert.equal(stdout.trim(), '500500', stderr)
    assert.equal(code, 0)
  })

  it('runs nothing without walls where it coordinates the jobs of others', async () => {
    const { stdout, stderr, code } = await processes.run(
      ['run', '-', '--data', processes.path('delegate'), '--delegate-for', '*'],
      { input: SPEC, inside: WITHOUT_BWRAP }
    )
    assert.equal(stdout, '')
    assert.match(stderr, /wall-missing.*bubblewrap/)
    assert.equal(code, EXIT.job)
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
