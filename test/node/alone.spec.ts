import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { EXIT } from '../../node/index.ts'
import { type Daemon, Processes } from './processes.ts'

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

  describe('beside its node', () => {
    let node: Daemon
    before(async () => {
      node = processes.start('start', 'own')
      await node.ready
    })
    after(() => node.end())

    it('ends with a code and a message where its output is full', async () => {
      const data = ['--data', processes.path('own')]
      const full = { inside: ['sh', '-c', 'exec "$@" > /dev/full', 'sh'] }
      for (const args of [['run', '-'], ['map', 'x'], ['filter', 'true'], ['jobs']]) {
        const { code, stderr } = await processes.run([...args, ...data], { input: SPEC, ...full })
        assert.match(stderr, /^artel: the output cannot be written: ENOSPC/m, args[0])
        assert.equal(code, EXIT.machine, args[0])
      }
    })

    it('gives a function the index of its line, over many jobs', async () => {
      const lines = (count: number): string => Array.from({ length: count }, (_, i) => `${i}\n`).join('')
      const on = async (args: string[], input: string): Promise<string> => {
        const { stdout, stderr, code } = await processes.run([...args, '--data', processes.path('own')], {
          input
        })
        assert.equal(code, 0, stderr)
        return stdout
      }
      assert.equal(await on(['map', '(x, index) => index - x'], lines(500)), '0\n'.repeat(500))
      assert.equal(await on(['filter', 'index % 200 === 199'], lines(500)), '199\n399\n')
      // equal items that the function tells apart, of which only one is kept
      const twins = '{"b":1,"a":2}\n{"a":2,"b":1}\n1.0\n1\n1e0\n'
      const fn = '(x, i) => i === 3 || Object.keys(x)[0] === "a"'
      assert.equal(await on(['filter', fn], twins), '{"a":2,"b":1}\n1\n')
    })

    it('takes files for what they are', async () => {
      const data = ['--data', processes.path('own')]
      await writeFile(processes.path('marked.json'), `\uFEFF${SPEC}`)
      const marked = await processes.run(['run', 'marked.json', ...data])
      assert.equal(marked.stdout.trim(), '500500', marked.stderr)
      for (const fn of ['x => x.ts', 'x.ts'])
        assert.equal((await processes.run(['map', fn, ...data], { input: '{"ts":7}' })).stdout, '7\n')
      const task = '{"type":"map","items":[],"fn":"x"}'
      const piped = await processes.run(['run', '-', '--file', 'items:lines=/dev/stdin', ...data], {
        input: task
      })
      assert.match(piped.stderr, /items from \/dev\/stdin: it is no regular file/)
      assert.equal(piped.code, EXIT.usage)
    })
  })

  it('keeps its folder out of the current one where HOME is empty', async () => {
    const { stdout } = await processes.run(['config', '--json'], { env: { HOME: '' } })
    assert.equal(isAbsolute(JSON.parse(stdout).data), true)
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
