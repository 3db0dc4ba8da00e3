import { strict as assert } from 'node:assert'
import { EXIT } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { type Daemon, descendants, isAlive, Processes } from './processes.ts'

describe('cli: a node and its neighbours', () => {
  let processes: Processes
  let seed: Daemon
  let worker: Daemon
  let join: string[]

  before(async () => {
    processes = await Processes.create()
    seed = processes.start('seed', 'seed', ['--compute', 'false'])
    join = ['--seed', (await seed.ready).addresses[0]!]
    worker = processes.start('start', 'worker', [...join, '--slots', '2', '--trusted-peer', '*'])
    await worker.ready
  })
  after(() => processes.stop())

  const onWorker = (args: string[], input?: string) =>
    processes.run([...args, '--data', processes.path('worker')], input == null ? {} : { input })

  /** What the seed has heard of the worker: nothing at first, though it knows the peer. */
  const offered = async (): Promise<{ slots: number; multiplier: number } | undefined> => {
    const { stdout } = await processes.run(['peers', '--json', '--data', processes.path('seed')])
    const { id } = await worker.ready
    return JSON.parse(stdout).find(({ peer }: { peer: string }) => peer === id)?.worker
  }

  it('shows peers, and balances that are equal everywhere and sum to the grants', async () => {
    await until(async () => (await offered()) != null, 'the seed knows what the worker lends')
    assert.equal((await offered())?.slots, 2)
    const ids = [(await seed.ready).id, (await worker.ready).id]
    const balanceOf = async (name: string) =>
      JSON.parse((await processes.run(['balance', '--json', '--data', processes.path(name)])).stdout)
    await until(async () => {
      const [here, there] = [await balanceOf('seed'), await balanceOf('worker')]
      return (
        ids.every(id => here.accounts[id] != null) &&
        JSON.stringify(Object.entries(here.accounts).sort()) ===
          JSON.stringify(Object.entries(there.accounts).sort())
      )
    }, 'both nodes see the same balances')
    const { accounts, supply } = await balanceOf('seed')
    const all = Object.values(accounts as Record<string, { available: string; reserved: string }>)
    const sum = all.reduce(
      (total, { available, reserved }) => total + BigInt(available) + BigInt(reserved),
      0n
    )
    assert.equal(sum, BigInt(supply.granted))
    assert.equal(BigInt(supply.granted), 200_000_000n)
    const own = await processes.run(['balance', '--data', processes.path('worker')])
    assert.match(own.stdout, new RegExp(`credits available.*${ids[1]}`))
  })

  it('finds who offers a service', async () => {
    const { id } = await worker.ready
    await until(async () => {
      const { stdout } = await processes.run(['services', '--json', '--data', processes.path('seed')])
      const { items, announced } = JSON.parse(stdout)
      assert.deepEqual(announced, [], 'the seed lends nothing')
      return items[0].providers.includes(id)
    }, 'the announcement of the worker')
    const { stdout: human } = await onWorker(['services', 'artel/none/1'])
    assert.match(human, /artel\/compute\/1 +yes/)
    assert.match(human, /artel\/none\/1 +no +-/)
    const wrong = await onWorker(['services', 'not a service'])
    assert.deepEqual([wrong.code, /not a service/.test(wrong.stderr)], [EXIT.usage, true])
  })

  it('changes a setting of the running node at once', async () => {
    const { stdout } = await onWorker(['config', 'set', 'priceMultiplier', '3'])
    assert.equal(stdout, 'priceMultiplier is 3 at once\n')
    await until(async () => (await offered())?.multiplier === 3, 'the seed sees the new price')
    assert.equal((await onWorker(['config', 'get', 'priceMultiplier'])).stdout, '3\n')
    const later = await onWorker(['config', 'set', 'limits.maxConnections', '50'])
    assert.match(later.stdout, /after the next start/)
    await onWorker(['config', 'set', 'priceMultiplier'])
    await until(async () => (await offered())?.multiplier === 1, 'the price is back')
    const wrong = await onWorker(['config', 'set', 'slots', 'many'])
    assert.deepEqual([wrong.code, /^artel: slots.*many/.test(wrong.stderr)], [EXIT.usage, true])
  })

  it('does not give much away without a yes', async () => {
    const { id } = await seed.ready
    const small = await onWorker(['transfer', id, '0.5', '--json'])
    assert.deepEqual([small.code, JSON.parse(small.stdout).amount], [0, '500000'])
    const large = await onWorker(['transfer', id, '60'])
    assert.equal(large.code, EXIT.usage)
    assert.match(large.stderr, /^artel: This gives 60 of your \S+ credits to .*--yes[^\n]*\n$/)
    assert.equal((await onWorker(['transfer', id, '20', '--yes'])).code, 0)
    const tooMuch = await onWorker(['transfer', id, '100000', '--yes'])
    assert.equal(tooMuch.code, EXIT.credits, tooMuch.stderr)
  })

  it('serves its metrics to who may open the socket', async () => {
    const { connectControl } = await import('../../node/index.ts')
    const client = await connectControl(processes.path('worker'))
    try {
      assert.match(await client.settings.metrics(), /^libp2p_connection_manager_connections/m)
    } finally {
      client.close()
    }
  })

  it('says which process has the data folder', async () => {
    const { pid } = await worker.ready
    const { code, stderr } = await processes.run(['start', '--data', processes.path('worker')])
    assert.match(stderr, new RegExp(`^artel: .*worker is in use by process ${pid};.*--data\\n$`))
    assert.equal(code, EXIT.machine)
  })

  it('says which port is in use', async () => {
    const listen = (await worker.ready).addresses[0]!.replace(/\/p2p\/.*/, '')
    const { code, stderr } = await processes.run([
      'start',
      '--data',
      processes.path('busy'),
      ...join,
      '--listen',
      listen
    ])
    assert.match(stderr, new RegExp(`^artel: .*${listen}.*in use.*--listen\\n$`, 'm'))
    assert.equal(code, EXIT.machine)
  })

  it('starts no sandbox process where nothing is lent', async () => {
    const { pid } = await seed.ready
    await until(async () => (await descendants(pid)).length === 0, 'no child')
  })

  it('ends on Ctrl-C with every child, and goes on with the same account', async () => {
    const before = processes.start('start', 'mortal', join)
    const { id, pid } = await before.ready
    const children = await descendants(pid)
    assert.ok(children.length > 0, 'the sandbox keeps processes warm')
    const { code, stdout } = await before.end('SIGINT')
    assert.equal(code, 0)
    assert.match(stdout, /"stopped"/)
    await until(() => !children.some(isAlive), 'no child is left')
    const again = processes.start('start', 'mortal')
    assert.equal((await again.ready).id, id)
    await again.end()
  })

  it('leaves no child and no damage after kill −9', async () => {
    const before = processes.start('start', 'killed', join)
    const { id, pid } = await before.ready
    const children = await descendants(pid)
    await before.end('SIGKILL')
    await until(() => !children.some(isAlive), 'no child is left')
    const again = processes.start('start', 'killed')
    assert.equal((await again.ready).id, id)
    await again.end()
  })

  it('lets the doctor see the running node', async () => {
    const { code, stdout } = await processes.run(['doctor', '--json', '--data', processes.path('worker')])
    const checks = JSON.parse(stdout) as { name: string; state: string; detail: string }[]
    const running = checks.find(({ name }) => name === 'running')
    assert.ok(running?.detail.includes(String((await worker.ready).pid)))
    assert.ok(checks.some(({ name }) => name === 'wall isolate'))
    assert.equal(code, 0)
  })
})
