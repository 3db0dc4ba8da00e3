import { strict as assert } from 'node:assert'
import { readFile, writeFile } from 'node:fs/promises'
import { EXIT } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { type Daemon, descendants, isAlive, Processes } from './processes.ts'

const SUM = JSON.stringify({ type: 'range_reduce', start: 1, end: 1000, operation: 'sum' })

describe('cli: a network of real processes', () => {
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

  const run = (args: string[], input?: string) =>
    processes.run(
      ['run', ...args, '--data', processes.path('client'), ...join],
      input == null ? {} : { input }
    )

  it('knows nothing but the address of the seed, and computes', async () => {
    const { code, stdout, stderr } = await run(['-'], SUM)
    assert.equal(stdout, '500500\n', stderr)
    assert.equal(code, 0)
    assert.ok(stderr.includes((await worker.ready).id), 'the summary names the worker')
  })

  it('runs modules: functions, TypeScript, and a function that makes the spec', async () => {
    const file = processes.path('task.ts')
    await writeFile(
      file,
      `const n: number = 5
       export default () => ({ type: 'map', range: { start: 1, end: n }, fn: (x: number) => x * x })`
    )
    const { code, stdout, stderr } = await run([file, '--quiet'])
    assert.equal(stdout, '[1,4,9,16,25]\n', stderr)
    assert.equal(stderr, '')
    assert.equal(code, 0)
  })

  it('gives JSON to programs', async () => {
    const { stdout, stderr } = await run(['-', '--json'], SUM)
    const answer = JSON.parse(stdout)
    assert.equal(answer.result, 500500)
    assert.equal(answer.state, 'completed')
    assert.equal(answer.report.done, 1000)
    assert.equal(stderr, '')
  })

  it('uses the running node of the data folder', async () => {
    const { code, stdout, stderr } = await processes.run(
      ['run', '-', '--quiet', '--data', processes.path('worker')],
      {
        input: SUM
      }
    )
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '500500\n', stderr: '' })
  })

  it('shows peers, and balances that are equal everywhere and sum to the grants', async () => {
    const { id } = await worker.ready
    const peers = await processes.run(['peers', '--json', '--data', processes.path('seed')])
    const row = JSON.parse(peers.stdout).find((peer: { peer: string }) => peer.peer === id)
    assert.equal(row.worker.slots, 2)
    const balanceOf = async (name: string) =>
      JSON.parse((await processes.run(['balance', '--json', '--data', processes.path(name)])).stdout)
    await until(async () => {
      const [here, there] = [await balanceOf('seed'), await balanceOf('worker')]
      return (
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
    assert.equal(BigInt(supply.granted) % 100_000_000n, 0n)
    const own = await processes.run(['balance', '--data', processes.path('worker')])
    assert.match(own.stdout, new RegExp(`credits available.*${id}`))
  })

  const there = ['--data']
  const onWorker = (args: string[], input?: string) =>
    processes.run([...args, ...there, processes.path('worker')], input == null ? {} : { input })

  it('lists its jobs by state and type, newest first, and says how many more there are', async () => {
    await onWorker(['run', '-', '--quiet'], '{"type":"map","items":[1],"fn":"x","name":"first"}')
    await onWorker(['run', '-', '--quiet'], '{"type":"map","items":[1],"fn":"x","name":"second"}')
    const { stdout } = await onWorker(['jobs', '--type', 'map', '--limit', '1'])
    assert.match(stdout, /second/)
    assert.doesNotMatch(stdout, /first/)
    assert.match(stdout, /\n\d+ more; see them with --limit\n$/)
    const all = JSON.parse((await onWorker(['jobs', '--state', 'completed', '--json'])).stdout)
    assert.ok(all.length > 1 && all.every(({ state }: { state: string }) => state === 'completed'))
    assert.equal((await onWorker(['jobs', '--state', 'expired'])).stdout, 'no jobs\n')
  })

  it('says what a task would cost', async () => {
    const { code, stdout } = await onWorker(['quote', '-'], SUM)
    assert.equal(code, 0)
    assert.match(stdout, /^expected: +\S+ credits.*\nat most: +\S+ credits\n/)
    const { quote } = JSON.parse((await onWorker(['quote', '-', '--json'], SUM)).stdout)
    assert.ok(BigInt(quote.expected) <= BigInt(quote.bound))
  })

  describe('maps a stream', () => {
    const lines = (from: number, to: number): string =>
      Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('')

    it(': every line in order, over many jobs', async () => {
      const { code, stdout, stderr } = await onWorker(['map', 'x => x * x'], lines(1, 5000))
      assert.equal(code, 0, stderr)
      assert.equal(stdout, Array.from({ length: 5000 }, (_, i) => `${(i + 1) ** 2}\n`).join(''))
      assert.match(stderr, /^5000 lines in .*, \S+ credits\n$/)
    })

    it(': JSON and text, modules and expressions', async () => {
      await writeFile(
        processes.path('shout.ts'),
        'export default { fn: (x: string) => x.toUpperCase() + mark, context: { mark: "!" } }'
      )
      const map = async (input: string, ...args: string[]) => (await onWorker(['map', ...args], input)).stdout
      assert.equal(await map('a\nb', 'shout.ts', '--text'), 'A!\nB!\n')
      assert.equal(await map('{"a":[1]}\nword\n"x y"\n\n', 'x', '--quiet'), '{"a":[1]}\nword\nx y\n\n')
      assert.equal(await map('1\nword\n', 'x', '--json'), '1\n"word"\n')
      assert.equal(await map('1\n', 'x => typeof x', '--text'), 'string\n')
      assert.equal(await map('', 'x'), '')
    })

    it(': the lines for which it is true', async () => {
      assert.equal((await onWorker(['filter', 'x % 40 === 0'], lines(1, 100))).stdout, '40\n80\n')
      const given = '12345678901234567890\n"a"\n1.0\r\n{"a": 1}\n'
      assert.equal((await onWorker(['filter', 'true'], given)).stdout, given)
      assert.equal((await onWorker(['filter', 'true', '--json'], '1.0\nword\n')).stdout, '1.0\n"word"\n')
    })

    it(': as they come, and ends when nobody reads on', async () => {
      const child = processes.spawn(['map', 'x + 1', ...there, processes.path('worker')], { input: true })
      child.process.stdin!.write('1\n')
      await until(() => child.stdout() === '2\n', 'the first answer')
      child.process.stdin!.write('2\n')
      await until(() => child.stdout() === '2\n3\n', 'the second answer')
      child.process.stdout!.destroy()
      child.process.stdin!.write('3\n4\n')
      await until(() => child.process.exitCode != null, 'it has ended')
      assert.equal(child.process.exitCode, 0)
    })

    it(': and says where it failed, after what was before', async () => {
      const throws = 'x => { if (x === "bad") throw new Error("no such luck"); return x }'
      const { code, stdout, stderr } = await onWorker(['map', throws], `${lines(1, 40)}bad\n`)
      assert.equal(code, EXIT.job)
      assert.match(stderr, /^artel: in the lines from \d+ on: .*no such luck\n$/)
      assert.ok(lines(1, 40).startsWith(stdout))
    })

    it(': and stops on Ctrl-C, with its jobs', async () => {
      const child = processes.spawn(['map', 'x => { for (;;); }', ...there, processes.path('worker')], {
        input: true
      })
      child.process.stdin!.write('1\n')
      const running = async () =>
        JSON.parse((await onWorker(['jobs', '--state', 'running', '--json'])).stdout).length
      await until(async () => (await running()) === 1, 'the job runs')
      const { code, stderr } = await child.end('SIGINT')
      assert.equal(code, EXIT.interrupted)
      assert.match(stderr, /interrupted after 0 lines/)
      assert.equal(await running(), 0)
    })

    it(': for no more than it may cost', async () => {
      const run = async (price: string) => onWorker(['map', 'x', '--max-price', price], lines(1, 3))
      assert.equal((await run('0.5')).code, 0)
      const wrong = await run('0')
      assert.deepEqual([wrong.code, /--max-price|credits/.test(wrong.stderr)], [EXIT.usage, true])
    })
  })

  it('finds who offers a service', async () => {
    const { stdout } = await processes.run(['services', '--json', '--data', processes.path('seed')])
    const { items, announced } = JSON.parse(stdout)
    assert.deepEqual(announced, [], 'the seed lends nothing')
    assert.ok(items[0].providers.includes((await worker.ready).id))
    const { stdout: human } = await onWorker(['services', 'artel/none/1'])
    assert.match(human, /artel\/compute\/1 +yes/)
    assert.match(human, /artel\/none\/1 +no +-/)
    const wrong = await onWorker(['services', 'not a service'])
    assert.deepEqual([wrong.code, /not a service/.test(wrong.stderr)], [EXIT.usage, true])
  })

  it('changes a setting of the running node at once', async () => {
    const priceAtSeed = async () => {
      const { stdout } = await processes.run(['peers', '--json', '--data', processes.path('seed')])
      const { id } = await worker.ready
      return JSON.parse(stdout).find(({ peer }: { peer: string }) => peer === id)?.worker.multiplier
    }
    const { stdout } = await onWorker(['config', 'set', 'priceMultiplier', '3'])
    assert.equal(stdout, 'priceMultiplier is 3 at once\n')
    await until(async () => (await priceAtSeed()) === 3, 'the seed sees the new price')
    assert.equal((await onWorker(['config', 'get', 'priceMultiplier'])).stdout, '3\n')
    const later = await onWorker(['config', 'set', 'limits.maxConnections', '50'])
    assert.match(later.stdout, /after the next start/)
    await onWorker(['config', 'set', 'priceMultiplier'])
    await until(async () => (await priceAtSeed()) === 1, 'the price is back')
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

  describe('answers a task that goes wrong with one line', () => {
    const cases: [string, object, number, RegExp][] = [
      ['does not parse', { type: 'map', items: [1], fn: 'x => (' }, EXIT.usage, /fn/],
      ['names what is not there', { type: 'map', items: [1], fn: 'x => x * limit' }, EXIT.usage, /limit/],
      ['has a field that nobody knows', { type: 'map', itms: [1], fn: 'x => x' }, EXIT.usage, /itms/],
      [
        'throws',
        { type: 'map', items: [1], fn: 'x => { throw new Error("no such luck") }' },
        EXIT.job,
        /no such luck/
      ],
      [
        'loops for ever',
        { type: 'map', items: [1], fn: 'x => { for (;;); }', requirements: { timeoutMs: 300 }, retries: 0 },
        EXIT.job,
        /time/
      ],
      [
        'eats memory',
        {
          type: 'map',
          items: [1],
          fn: 'x => { const a = []; for (;;) a.push(new Array(1e5).fill(x)) }',
          retries: 0
        },
        EXIT.job,
        /memory/
      ]
    ]
    for (const [name, spec, exit, message] of cases) {
      it(`: it ${name}`, async () => {
        const { code, stdout, stderr } = await processes.run(
          ['run', '-', '--quiet', '--data', processes.path('worker')],
          { input: JSON.stringify(spec) }
        )
        assert.match(stderr, message)
        assert.match(stderr, /^artel: [^\n]*\n$/)
        assert.equal(code, exit, stderr)
        assert.equal(stdout, '')
      })
    }
  })

  it('cancels its job on Ctrl-C', async () => {
    const endless = { type: 'range_reduce', start: 1, end: 1e12, map: 'x => x % 7', operation: 'sum' }
    await writeFile(processes.path('endless.json'), JSON.stringify(endless))
    const child = processes.spawn(['run', 'endless.json', '--data', processes.path('worker')])
    await until(() => child.stderr().includes('running'), 'the job runs')
    const { code, stderr } = await child.end('SIGINT')
    assert.equal(code, EXIT.interrupted)
    assert.match(stderr, /interrupted, job \w+ is cancelled/)
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
    assert.match(stderr, new RegExp(`^artel: .*${listen}.*in use.*--listen\\n$`))
    assert.equal(code, EXIT.machine)
  })

  it('starts no sandbox process where nothing is lent', async () => {
    assert.deepEqual(await descendants((await seed.ready).pid), [])
  })

  it('ends on Ctrl-C with every child, and goes on with the same account', async () => {
    const before = processes.start('start', 'mortal', join)
    const { id, pid } = await before.ready
    const children = await descendants(pid)
    assert.ok(children.length > 0, 'the sandbox keeps processes warm')
    const { code, stdout } = await before.end('SIGINT')
    assert.equal(code, 0)
    assert.match(stdout, /"stopped"/)
    await until(() => !children.some(isAlive), 'no child is left', 5_000)
    const again = processes.start('start', 'mortal')
    assert.equal((await again.ready).id, id)
    await again.end()
  })

  it('leaves no child and no damage after kill −9', async () => {
    const before = processes.start('start', 'killed', join)
    const { id, pid } = await before.ready
    const children = await descendants(pid)
    await before.end('SIGKILL')
    await until(() => !children.some(isAlive), 'no child is left', 5_000)
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

describe('cli: alone', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  it('says that there are no peers, keeps trying, and joins when the seed comes', async () => {
    const first = processes.start('seed', 'late')
    const [address] = (await first.ready).addresses
    await first.end()
    const node = processes.start('start', 'early', ['--seed', address!])
    await until(() => /no peers/.test(node.stderr()), 'it says so')
    const again = processes.start('seed', 'late', ['--listen', address!.replace(/\/p2p\/.*/, '')])
    assert.equal((await node.ready).network, (await again.ready).network)
    await node.end()
    await again.end()
  })

  it('ends on Ctrl-C also while it waits for a seed', async () => {
    // port 1 has no listener on any machine that runs tests
    const address = `/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJFJFDPMB4hzULGGW1ApJVKLCxbbzYvZZyNmTkBHivEBn`
    const node = processes.start('start', 'waiting', ['--seed', address])
    await until(() => /no peers/.test(node.stderr()), 'it says so')
    assert.equal((await node.end('SIGTERM')).code, 0)
  })

  describe('answers with one line and a code', () => {
    const cases: [string, string[], number, RegExp][] = [
      ['an unknown flag', ['start', '--lissten', 'x'], EXIT.usage, /--lissten.*--listen/],
      ['an unknown command', ['strat'], EXIT.usage, /strat.*start/],
      ['a missing argument', ['run'], EXIT.usage, /file/],
      ['a wrong setting', ['start', '--slots', 'many'], EXIT.usage, /slots.*--slots.*many/],
      ['a config that is not there', ['start', '--config', 'none.json'], EXIT.usage, /none\.json/],
      ['a task that is not there', ['run', 'none.json'], EXIT.usage, /none\.json/],
      ['a definition that is not there', ['start', '--network', 'none.json'], EXIT.usage, /none\.json/],
      ['no running node', ['peers'], EXIT.network, /no node is running.*artel start/],
      ['a wrong limit', ['jobs', '--limit', '0'], EXIT.usage, /--limit.*"0"/],
      ['a wrong state', ['jobs', '--state', 'done'], EXIT.usage, /--state.*done.*completed/],
      ['an unknown shell', ['completion', 'tcsh'], EXIT.usage, /tcsh.*bash, zsh, fish/],
      ['a module that is not there', ['map', './none.js'], EXIT.usage, /none\.js/],
      ['a wrong seed', ['start', '--seed', '127.0.0.1'], EXIT.usage, /--seed.*artel seed.*127\.0\.0\.1/],
      ['a wrong amount', ['network', 'create', '--name', 'x', '--grant', '-1'], EXIT.usage, /--grant.*-1/]
    ]
    for (const [name, args, exit, message] of cases) {
      it(`: ${name}`, async () => {
        const { code, stderr, stdout } = await processes.run(args)
        assert.match(stderr, message)
        assert.match(stderr, /^artel: [^\n]*\n$/)
        assert.equal(code, exit, stderr)
        assert.equal(stdout, '')
      })
    }

    it(': a damaged key file, with the stack only for who asks', async () => {
      await processes.run(['network', 'create', '--name', 'x', '--data', 'damaged'])
      await writeFile(processes.path('damaged/key'), 'not a key')
      const args = ['start', '--data', 'damaged', '--network', 'x.json']
      const { code, stderr } = await processes.run(args)
      assert.match(stderr, /^artel: .*damaged\/key is damaged.*backup[^\n]*\n$/)
      assert.equal(code, EXIT.machine)
      assert.equal(await readFile(processes.path('damaged/key'), 'utf8'), 'not a key')
      assert.match((await processes.run([...args, '--verbose'])).stderr, /\n +at /)
      const doctor = await processes.run(['doctor', '--data', 'damaged'])
      assert.match(doctor.stdout, /^FAIL {2}key .*damaged\/key/m)
      assert.equal(doctor.code, EXIT.machine)
    })
  })

  it('makes, shows, signs and refuses network definitions', async () => {
    const json = async (args: string[]) => JSON.parse((await processes.run([...args, '--json'])).stdout)
    const made = await json(['network', 'create', '--name', 'lab', '--data', 'founder'])
    assert.equal(made.witnesses[0], made.founder)
    assert.match(made.preSharedKey, /^[0-9a-f]{64}$/)
    assert.deepEqual(await json(['network', 'show', 'lab.json']), made)
    const edited = { ...made, grant: { amount: '5000000', powBits: 0 } }
    await writeFile(processes.path('lab.json'), JSON.stringify(edited))
    const refused = await processes.run(['network', 'show', 'lab.json'])
    assert.match(refused.stderr, /not signed by its founder/)
    assert.equal(refused.code, EXIT.usage)
    const stranger = await processes.run(['network', 'sign', 'lab.json', '--data', 'stranger'])
    assert.match(stranger.stderr, /signed by its founder/)
    const signed = await json(['network', 'sign', 'lab.json', '--data', 'founder'])
    assert.equal(signed.epoch, 2)
    assert.match((await processes.run(['network', 'show', 'lab.json'])).stdout, /5 credits/)
  })

  it('prints help on standard output, also by `artel help`', async () => {
    const help = await processes.run(['run', '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /^Usage: artel run .*\n[\s\S]*\nExamples:\n {2}/)
    assert.equal((await processes.run(['help', 'run'])).stdout, help.stdout)
  })

  it('keeps settings for the next start where no node runs', async () => {
    const set = (...args: string[]) => processes.run(['config', 'set', ...args, '--data', 'kept'])
    assert.equal((await set('quietHours', '22:00-07:00,12:00-13:00')).code, 0)
    assert.equal((await set('gateway.port', '9000')).stdout, 'gateway.port is 9000 from now on\n')
    assert.deepEqual(JSON.parse(await readFile(processes.path('kept/config.json'), 'utf8')), {
      quietHours: ['22:00-07:00', '12:00-13:00'],
      gateway: { port: 9000 }
    })
    const get = await processes.run(['config', 'get', 'quietHours', '--json', '--data', 'kept'])
    assert.deepEqual(JSON.parse(get.stdout), ['22:00-07:00', '12:00-13:00'])
    const wrong = await set('slotz', '2')
    assert.match(wrong.stderr, /^artel: "slotz" is not a setting\. Did you mean slots\?/)
    assert.equal(wrong.code, EXIT.usage)
  })

  it('does not replace a definition without a yes', async () => {
    const create = (...args: string[]) => processes.run(['network', 'create', '--name', 'twice', ...args])
    assert.equal((await create()).code, 0)
    const before = await readFile(processes.path('twice.json'), 'utf8')
    const again = await create('--grant', '5')
    assert.match(again.stderr, /^artel: twice\.json is there already.*--yes[^\n]*\n$/)
    assert.equal(again.code, EXIT.usage)
    assert.equal(await readFile(processes.path('twice.json'), 'utf8'), before)
    assert.equal((await create('--yes', '--grant', '5')).code, 0)
  })

  it('has colours only where they are wanted', async () => {
    const doctor = async (args: string[], env: Record<string, string>) =>
      (await processes.run(['doctor', ...args], { env })).stdout.includes('\u001b')
    assert.equal(await doctor([], { FORCE_COLOR: '1' }), true)
    assert.equal(await doctor([], {}), false)
    assert.equal(await doctor([], { FORCE_COLOR: '1', NO_COLOR: '1' }), false)
    assert.equal(await doctor(['--no-color'], { FORCE_COLOR: '1' }), false)
  })

  it('takes settings from the environment', async () => {
    const { stdout } = await processes.run(['config', '--json'], { env: { ARTEL_SLOTS: '3' } })
    assert.equal(JSON.parse(stdout).slots, 3)
    const wrong = await processes.run(['config'], { env: { ARTEL_SLOT: '3' } })
    assert.match(wrong.stderr, /ARTEL_SLOT.*ARTEL_SLOTS/)
  })
})
