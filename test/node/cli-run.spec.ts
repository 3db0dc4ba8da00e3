import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { EXIT } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { type Daemon, Processes } from './processes.ts'

const SUM = JSON.stringify({ type: 'range_reduce', start: 1, end: 1000, operation: 'sum' })

describe('cli: run, map, jobs', () => {
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

  /** In a node of its own; where that is slow it would say that it has no peers yet. */
  const run = (args: string[], input?: string) =>
    processes.run(
      ['run', ...args, '--data', processes.path('client'), '--log-level', 'error', ...join],
      input == null ? {} : { input }
    )

  const onWorker = (args: string[], input?: string) =>
    processes.run([...args, '--data', processes.path('worker')], input == null ? {} : { input })

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
      const child = processes.spawn(['map', 'x + 1', '--data', processes.path('worker')], { input: true })
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
      const child = processes.spawn(['map', 'x => { for (;;); }', '--data', processes.path('worker')], {
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
})
