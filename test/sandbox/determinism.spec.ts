import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Program, type Sandbox } from '../../sandbox/index.ts'
import { limits, read, runOnce } from '../compliance/sandbox.ts'

/** More of them: ARTEL_PROGRAMS=1000 */
const PROGRAMS = Number(process.env.ARTEL_PROGRAMS ?? 400)
const ROUNDS = 1_500 // enough for V8 to optimise the loop, checked by hand with --trace-opt

/** mulberry32 */
function generator(seed: number) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A random function over numbers, strings, arrays, typed arrays, bigints and Math; every run of it is finite. */
function randomProgram(seed: number): string {
  const random = generator(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const functions =
    'acos acosh asin asinh atan atanh cbrt ceil clz32 cos cosh exp expm1 floor fround log log10 log1p log2 round sign sin sinh sqrt tan tanh trunc'
  const expression = (depth: number): string => {
    if (depth === 0)
      return pick([
        'a',
        'b',
        'c',
        'i',
        's.length',
        '0.1',
        '3',
        '(-7)',
        '1e9',
        '2147483647',
        'arr[i & 7]',
        'f[i & 7]'
      ])
    const x = () => expression(depth - 1)
    return pick([
      () => `(${x()} ${pick(['+', '-', '*', '/', '%', '**', '|', '&', '^', '<<', '>>', '>>>'])} ${x()})`,
      () => `Math.${pick(functions.split(' '))}(${x()})`,
      () => `Math.${pick(['max', 'min', 'pow', 'atan2', 'hypot', 'imul'])}(${x()}, ${x()})`,
      () => `(${x()} ${pick(['<', '>', '===', '>='])} ${x()} ? ${x()} : ${x()})`,
      () => `Math.random() * ${x()}`,
      () => `Number(String(${x()}))`
    ])()
  }
  const statement = (): string =>
    pick([
      () => `${pick(['a', 'b', 'c'])} = ${expression(3)}`,
      () => `${pick(['a', 'b', 'c'])} = Math.sin(${expression(2)})`,
      () => `arr[i & 7] = ${expression(2)}`,
      () => `f[i & 7] = ${expression(2)}`,
      () => `g[i & 7] = ${expression(2)}`,
      () => `s = (s + ${expression(1)}).slice(-24)`,
      () => `n = (n * 31n + BigInt(${expression(2)} | 0)) & 0xffffffffffffffffffn`,
      () => `if (${expression(2)} > ${expression(1)}) ${pick(['a', 'b'])} = ${expression(2)}`,
      () => `if (i % 500 === 0) arr.sort((x, y) => x - y)`,
      () => `if (i % 100 === 0) o[s] = ${expression(1)}`
    ])()
  const body = Array.from({ length: 6 }, statement).join('\n    ')
  return `() => {
  let a = 1, b = 0.5, c = -3, s = '', n = 1n
  const arr = [1, 2, 3, 4, 5, 6, 7, 8], f = new Float64Array(8), g = new Float32Array(8), o = {}
  for (let i = 0; i < ${ROUNDS}; i++) {
    ${body}
  }
  return [a, b, c, s, n, arr, f, g, o, new Uint8Array(f.buffer.slice(0, 0))]
}`
}

describe('sandbox: determinism', () => {
  const started: Sandbox[] = []
  const create = async (init: Parameters<typeof createSandbox>[0]) => {
    const sandbox = createSandbox({ warm: 1, ...init })
    started.push(sandbox)
    await sandbox.start()
    return sandbox
  }
  after(() => Promise.all(started.map(sandbox => sandbox.stop())))

  it(`gives the same bytes for ${PROGRAMS} programs, compiled and interpreted`, async () => {
    const source = `i => [${Array.from({ length: PROGRAMS }, (_, i) => randomProgram(i)).join(',\n')}][i]()`
    const program: Program = { kind: 'function', source, seed: 'determinism' }
    const inputs = Array.from({ length: PROGRAMS }, (_, i) => encodeValue(i))
    const bytes = async (jitless: boolean) => {
      const sandbox = await create({ jitless })
      const session = await sandbox.open(program, {
        limits: { ...limits, memoryMb: 256 },
        requester: 'a',
        trusted: true
      })
      const outcomes = await session.run(inputs)
      await session.close()
      return outcomes.map(outcome =>
        outcome.ok ? Buffer.from(outcome.value).toString('hex') : JSON.stringify(outcome.failure)
      )
    }
    const [compiled, interpreted] = [await bytes(false), await bytes(true)]
    const differing = compiled.flatMap((text, i) => (text === interpreted[i] ? [] : [i]))
    assert.deepStrictEqual(differing, [], `the first that differs:\n${randomProgram(differing[0] ?? 0)}`)
    assert.ok(new Set(compiled).size > PROGRAMS * 0.9, 'the programs compute different things')
    assert.ok(
      compiled.every(text => !text.startsWith('{')),
      'every program ends well'
    )
  })

  it('has a clock that stands, no locale, and the time zone UTC', async () => {
    const source = `() => [Date.now() - Date.now(), new Date().toISOString(), new Date(2020, 5, 1, 12).getTime(), new Date(0).getTimezoneOffset(),
      (1234.5).toLocaleString('de'), ['b', 'ä', 'a'].sort((x, y) => x.localeCompare(y)), new Date(0).toLocaleDateString('de'), typeof Intl]`
    const before = process.env.TZ
    process.env.TZ = 'Asia/Tokyo'
    try {
      assert.deepStrictEqual(await runOnce(await create({}), { kind: 'function', source }, [0]), [
        [
          0,
          '2000-01-01T00:00:00.000Z',
          Date.UTC(2020, 5, 1, 12),
          0,
          '1234.5',
          ['a', 'b', 'ä'],
          'Thu Jan 01 1970',
          'undefined'
        ]
      ])
    } finally {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    }
  })

  it('raises to a power alike by **, by **= and by Math.pow, as the language says', async () => {
    const source = `([x, y]) => {
      let a = x; a **= y
      const o = { p: x, q: [x] }; o.p **= y; o.q[0] /* ** */ **= (y); (o)['r'] = x; o['r'] **= y
      return [x ** y, a, o.p, o.q[0], o.r, Math.pow(x, y), (x) ** (0, y), -(x ** y), 2 ** 3 ** 2]
    }`
    const pairs: [number, number][] = [
      [3, 4],
      [2, 0.5],
      [10, -3],
      [-2, 3],
      [0, -1],
      [1.1, 100],
      [Number.NaN, 0]
    ]
    const results = (await runOnce(await create({}), { kind: 'function', source }, pairs)) as number[][]
    results.forEach((result, i) => {
      const power = result[0]!
      // within one unit in the last place of what this V8 says
      const exact = pairs[i]![0] ** pairs[i]![1]
      assert.ok(
        Object.is(power, exact) || Math.abs(power - exact) <= Math.abs(exact) * 2 ** -52,
        `${pairs[i]}: ${power}`
      )
      assert.deepStrictEqual(result, [power, power, power, power, power, power, power, -power, 512])
    })
    const order = `() => { const log = []; const o = { get x() { log.push('get'); return 2 }, set x(v) { log.push(v) } }
      const f = () => (log.push('object'), o); f()[(log.push('key'), 'x')] **= (log.push('value'), 3); return [log, 3n ** 2n, (() => { try { return 2n ** 2 } catch (e) { return e.name } })()] }`
    assert.deepStrictEqual(await runOnce(started.at(-1)!, { kind: 'function', source: order }, [0]), [
      [['object', 'key', 'get', 'value', 8], 9n, 'TypeError']
    ])
  })

  it('gives the same answers whether a context is new or used before', async () => {
    // the first function keeps nothing, so its context serves again (stateless.ts); the second is the same with a closure
    const plain = 'x => { let s = 0; for (let i = 0; i < x; i++) s += Math.random() * Math.sin(i); return s }'
    const closure = plain.replace('let s = 0', 'const zero = () => 0; let s = zero()')
    const sandbox = await create({})
    const answers: unknown[] = []
    for (const source of [plain, closure]) {
      const session = await sandbox.open(
        { kind: 'function', source, seed: 's' },
        { limits, requester: 'a', trusted: true }
      )
      const inputs = [5, 50, 5].map(x => encodeValue(x))
      answers.push((await session.run(inputs)).map(read), (await session.run(inputs)).map(read))
      await session.close()
    }
    for (const answer of answers) assert.deepStrictEqual(answer, answers[0])
    assert.equal((answers[0] as number[])[0], (answers[0] as number[])[2])
  })

  it('runs a WASI command: arguments, stdin, stdout, exit code, no files', async () => {
    const { wasmModule } = await import('./wasm-module.ts')
    // loop { fd_read(0, [1024, 4096], 1, 8); if (!mem[8]) return; mem[16] = 1024; mem[20] = mem[8]; fd_write(1, 16, 1, 12) }
    const store = (at: string, value: string) => `41 ${at} ${value} 36 02 00`
    const load = (at: string) => `41 ${at} 28 02 00`
    const K1 = '41 80 08' // i32.const 1024
    const call = (index: string, ...args: string[]) =>
      `${args.map(arg => `41 ${arg}`).join(' ')} 10 ${index} 1a`
    const echo = wasmModule({
      name: '_start',
      imports: ['fd_read', 'fd_write'],
      body: `03 40 ${store('00', K1)} ${store('04', '41 80 20')} ${call('00', '00', '00', '01', '08')} ${load('08')} 45 0d 01 ${store('10', K1)} ${store('14', load('08'))} ${call('01', '01', '10', '01', '0c')} 0c 00 0b`
    })
    const sandbox = await create({})
    const big = new Uint8Array(100_000).map((_, i) => i * 7)
    assert.deepStrictEqual(
      await runOnce(sandbox, { kind: 'wasi', source: echo }, [new Uint8Array([1, 2, 3]), big, 'hé']),
      [new Uint8Array([1, 2, 3]), big, new Uint8Array(Buffer.from('hé'))]
    )
    const open = wasmModule({
      name: '_start',
      imports: ['path_open_does_not_exist'],
      body: call('00', '00', '00', '00', '00').replace('1a', '41 34 47 04 40 00 0b')
    })
    // ENOSYS (52) from what we do not offer: the program traps on anything else
    assert.deepStrictEqual(await runOnce(sandbox, { kind: 'wasi', source: open }, [null]), [
      new Uint8Array(0)
    ])
  })
})
