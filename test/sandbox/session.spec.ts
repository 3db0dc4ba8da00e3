import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Program, type Sandbox, type Session } from '../../sandbox/index.ts'
import { limits, read } from '../compliance/sandbox.ts'
import { cpuSeconds, descendants, eventually } from './processes.ts'

describe('sandbox: sessions', () => {
  let sandbox: Sandbox
  const sessions: Session[] = []
  before(async () => {
    sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
  })
  afterEach(() => Promise.all(sessions.splice(0).map(session => session.close())))
  after(() => sandbox.stop())

  const open = async (source: string, more: Partial<Program> = {}) => {
    const program = { kind: 'function', source, ...more } as Program
    const session = await sandbox.open(program, { limits, requester: 'a' })
    sessions.push(session)
    return session
  }
  const values = (...inputs: unknown[]) => inputs.map(input => encodeValue(input))

  it('is not confused by what V8 prints, and shows it to the author', async () => {
    const session = await open('x => { function m() { "use asm"; return x + 1 } return m() }')
    assert.deepStrictEqual((await session.run(values(1))).map(read), [2])
    await eventually('it was heard', () => /^task:.*Invalid asm\.js/.test(session.said))
  })

  it('answers many runs at once, each its own', async () => {
    const session = await open('x => x + 1')
    const runs = Array.from({ length: 200 }, (_, i) => session.run(values(i, i + 1000)))
    const results = (await Promise.all(runs)).map(outcomes => outcomes.map(read))
    assert.deepStrictEqual(
      results,
      Array.from({ length: 200 }, (_, i) => [i + 1, i + 1001])
    )
  })

  it('gives runs that wait to a new child when the first one loops', async () => {
    const session = await open('x => { while (x === 1); return x }')
    const given = { timeoutMs: 2500, memoryMb: 128, outputBytes: 1000 }
    const short = await sandbox.open(
      { kind: 'function', source: 'x => { while (x === 1); return x }' },
      { limits: given, requester: 'a' }
    )
    sessions.push(short)
    const results = await Promise.all([
      short.run(values(0, 1, 2)),
      short.run(values(3)),
      short.run(values(1, 4)),
      session.run(values(5))
    ])
    assert.deepStrictEqual(
      results.map(outcomes => outcomes.map(outcome => (outcome.ok ? read(outcome) : outcome.failure.name))),
      [[0, 'timeout', 2], [3], ['timeout', 4], [5]]
    )
  })

  it('aborts a run that waits and leaves the others alone', async () => {
    const session = await open('x => { for (let i = 0; i < x; i++); return x }')
    const abort = new AbortController()
    const runs = [
      session.run(values(3e8)),
      session.run(values(1)),
      session.run(values(2), { signal: abort.signal }),
      session.run(values(3))
    ]
    abort.abort()
    const results = (await Promise.all(runs)).map(([outcome]) =>
      outcome!.ok ? read(outcome!) : outcome!.failure.name
    )
    assert.deepStrictEqual(results, [3e8, 1, 'aborted', 3])
    assert.deepStrictEqual(
      (await session.run(values(1), { signal: AbortSignal.abort() })).map(outcome => outcome.ok),
      [false]
    )
  })

  it('carries many large outputs of one batch', async () => {
    const session = await open('x => new Float64Array(30000).fill(x)')
    const inputs = Array.from({ length: 40 }, (_, i) => i)
    const results = (await session.run(values(...inputs))).map(read) as Float64Array[]
    assert.deepStrictEqual(
      results.map(result => [result.length, result[0], result.at(-1)]),
      inputs.map(i => [30000, i, i])
    )
  })

  it('names the one input that ends the process, also behind many quick ones', async () => {
    const session = await open(
      'x => { if (x === 700) { const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1)) } return x }'
    )
    await session.run(values(...Array.from({ length: 600 }, (_, i) => i))) // now the child takes many at once
    const results = await session.run(values(...Array.from({ length: 300 }, (_, i) => 500 + i)))
    assert.deepStrictEqual(
      results.flatMap((outcome, i) => (outcome.ok ? [] : [[500 + i, outcome.failure.name]])),
      [[700, 'out-of-memory']]
    )
  })

  it('reads what came while this process stood still before it calls an input late', async () => {
    const given = { timeoutMs: 2500, memoryMb: 128, outputBytes: 1000 }
    const session = await sandbox.open(
      { kind: 'function', source: 'x => x' },
      { limits: given, requester: 'a' }
    )
    sessions.push(session)
    const running = session.run(values(1))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000)
    assert.deepStrictEqual((await running).map(read), [1])
  })

  it('survives a child that somebody else kills', async () => {
    const session = await open('x => { for (let i = 0; i < x; i++); return x }')
    const running = session.run(values(1e12))
    // the next child is being started meanwhile, which takes less than half a second of its time
    const loops = (): number =>
      descendants(process.pid).reduce((most, pid) => (cpuSeconds(pid) > cpuSeconds(most) ? pid : most), 0)
    await eventually('a child works', () => cpuSeconds(loops()) > 2)
    process.kill(loops(), 'SIGKILL')
    assert.equal((await running)[0]!.ok, false)
    assert.deepStrictEqual((await session.run(values(7))).map(read), [7])
  })

  it('reports what a module throws while it loads, for every input', async () => {
    const session = await open('throw new Error("top")\nexport default x => x', { kind: 'module' })
    const results = (await session.run(values(1, 2))).map(read) as {
      name: string
      message: string
      stack: string
    }[]
    assert.deepStrictEqual(
      results.map(({ name, message, stack }) => [name, message, stack.trim()]),
      [
        ['threw', 'Error: top', 'at task:1:7'],
        ['threw', 'Error: top', 'at task:1:7']
      ]
    )
  })

  const costly: [string, string][] = [
    ['deep nesting', `() => ${'('.repeat(2e5)}1${')'.repeat(2e5)}`],
    ['deep trees', `() => ${'-'.repeat(0)}${'!'.repeat(2e5)}1`],
    ['a long chain', `() => 1${'+1'.repeat(1e5)}`],
    ['dollars', `() => { const ${'$'.repeat(2e5)}pow0 = 1; return 1 ** 2 }`],
    ['many powers', `() => [${'2 ** 3,'.repeat(1e5)}].length`],
    ['more than may be', `() => 1${' '.repeat(1_000_000)}`]
  ]
  for (const [name, source] of costly) {
    it(`compiles or refuses in good time: ${name}`, async () => {
      const begin = process.cpuUsage()
      try {
        const session = await open(source)
        assert.equal((await session.run(values(0)))[0]!.ok !== undefined, true)
      } catch (error) {
        assert.equal((error as Error).name, 'ProgramError')
      }
      // CPU time of the node, not the clock: quadratic work on these would take minutes
      assert.ok(process.cpuUsage(begin).user < 10e6)
    })
  }
})
