import { strict as assert } from 'node:assert'
import {
  decodeValue,
  encodeValue,
  type Limits,
  type Outcome,
  type Program,
  type Sandbox,
  type Session
} from '../../sandbox/index.ts'

/** For what ends by itself: only a test that has failed anyway takes so long. */
export const PATIENT_MS = 240_000
/** For what loops beside what does not: so long a process may get no time. */
const LOOP_MS = 2500
export const limits: Limits = { timeoutMs: PATIENT_MS, memoryMb: 128, outputBytes: 1 << 20 }

/** Opens, runs the values, closes; an ok outcome becomes its value, a failure the failure. */
export async function runOnce(
  sandbox: Sandbox,
  program: Program,
  inputs: unknown[],
  given: Partial<Limits> = {}
) {
  const session = await sandbox.open(program, {
    limits: { ...limits, ...given },
    requester: 'test',
    trusted: true
  })
  try {
    return (await session.run(inputs.map(input => encodeValue(input)))).map(read)
  } finally {
    await session.close()
  }
}

export function read(outcome: Outcome): unknown {
  return outcome.ok ? decodeValue(outcome.value) : outcome.failure
}

const nameOf = (result: unknown) => (result as { name?: unknown } | undefined)?.name

/** What every Sandbox must do. `create` answers one that is not started. */
export function sandboxCompliance(name: string, create: () => Sandbox): void {
  describe(`sandbox compliance: ${name}`, () => {
    let sandbox: Sandbox
    before(async () => {
      sandbox = create()
      await sandbox.start()
    })
    after(() => sandbox.stop())

    const fn = (source: string): Program => ({ kind: 'function', source })
    const run = (program: Program, inputs: unknown[], given?: Partial<Limits>) =>
      runOnce(sandbox, program, inputs, given)

    it('answers every input, in order', async () => {
      const inputs = Array.from({ length: 3000 }, (_, i) => i)
      assert.deepStrictEqual(
        await run(fn('x => x * x'), inputs),
        inputs.map(x => x * x)
      )
    })

    it('carries every kind of value in and out', async () => {
      const values = [
        undefined,
        null,
        true,
        1,
        -0,
        1.5,
        Number.NaN,
        12345678901234567890n,
        'héllo \u{1f600} \ud800',
        [1, [2, [3]]],
        { b: 1, a: { c: [] }, ['__proto__']: 5 },
        new Uint8Array([1, 2, 3]),
        new Float64Array([1.5, Number.NaN]),
        new Float32Array([0.5]),
        new BigInt64Array([-5n]),
        new Uint16Array(0)
      ]
      assert.deepStrictEqual(await run(fn('x => x'), values), values)
    })

    it('carries long texts of any letters, alone and beside others', async () => {
      const english = 'It was the best of times, it was the worst of times. '.repeat(25_000)
      const russian = 'Все счастливые семьи похожи друг на друга. '.repeat(2000)
      const texts = [
        english,
        russian,
        `${english}😀${english}`,
        `\ud800${english}`,
        'short',
        russian + english
      ]
      const expected = (text: string) => [text.length, text.slice(-60), text.match(/[^a-z]t/g)?.length ?? 0]
      const task = fn('texts => texts.map(t => [t.length, t.slice(-60), t.match(/[^a-z]t/g)?.length ?? 0])')
      assert.deepStrictEqual(await run(task, [texts, ['x'], texts.slice(2)]), [
        texts.map(expected),
        [expected('x')],
        texts.slice(2).map(expected)
      ])
    })

    it('awaits async functions and thenables', async () => {
      const source = 'async x => { await null; for (let i = 0; i < 3; i++) await i; return x + 1 }'
      assert.deepStrictEqual(await run(fn(source), [1, 2, 3]), [2, 3, 4])
      // biome-ignore lint/suspicious/noThenProperty: the value that `await` must not take for a promise
      const inner = { then: 5, x: 1 }
      assert.deepStrictEqual(await run(fn('x => ({ then(ok) { ok({ then: 5, x }) } })'), [1]), [inner])
    })

    it('lets a driver call task and functions over one input', async () => {
      const program: Program = {
        ...fn('x => x + context.add'),
        functions: {
          twice: { kind: 'expression', source: 'x * 2' },
          sum: { kind: 'function', source: '(a, b) => a + b' }
        },
        driver:
          '(task, functions, context) => ({ from, to }) => { let s = 0; for (let i = from; i <= to; i++) s = functions.sum(s, functions.twice(task(i))); return [s, context.add] }',
        context: encodeValue({ add: 1 })
      }
      assert.deepStrictEqual(await run(program, [{ from: 1, to: 3 }]), [[18, 1]])
    })

    it('freezes the context', async () => {
      const program = {
        ...fn('() => { try { context.a.b = 2 } catch (e) { return [e.name, context.a.b] } }'),
        context: encodeValue({ a: { b: 1 } })
      }
      assert.deepStrictEqual(await run(program, [0]), [['TypeError', 1]])
    })

    it('runs modules, expressions and WebAssembly', async () => {
      assert.deepStrictEqual(
        await run(
          {
            kind: 'module',
            source:
              'const k = 2\nexport const unused = 1\nexport default function f(x) { return g(x) * k }\nfunction g(x) { return x + 1 }'
          },
          [3]
        ),
        [8]
      )
      assert.deepStrictEqual(await run({ kind: 'expression', source: 'x ** 2 + 1' }, [3]), [10])
      // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
      const add = Buffer.from(
        '0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b',
        'hex'
      )
      assert.deepStrictEqual(
        await run({ kind: 'wasm', source: new Uint8Array(add), export: 'add' }, [
          [2, 3],
          [4, 5]
        ]),
        [5, 9]
      )
    })

    it('lets nothing that an input left in globals be seen by the next', async () => {
      const session = await sandbox.open(fn('() => (globalThis.n = (globalThis.n ?? 0) + 1)'), {
        limits,
        requester: 'test',
        trusted: true
      })
      const input = encodeValue(0)
      const first = (await session.run([input, input])).map(read)
      const second = (await session.run([input])).map(read)
      await session.close()
      assert.deepStrictEqual([first, second], [[1, 1], [1]])
    })

    const failures: [string, string, string, RegExp][] = [
      [
        'throws',
        'x => { if (x === 1) throw new RangeError("no one") ; return x }',
        'threw',
        /RangeError: no one/
      ],
      [
        'throws what is no error',
        'x => { if (x === 1) throw { toString() { throw 1 } } ; return x }',
        'threw',
        /threw \{\}, and no Error/
      ],
      ['rejects', 'async x => { if (x === 1) throw new Error("late") ; return x }', 'threw', /late/],
      ['loops for ever', 'x => { while (x === 1); return x }', 'timeout', /2500 ms/],
      [
        'loops for ever in a microtask',
        'async x => { await 0; while (x === 1); return x }',
        'timeout',
        /2500 ms/
      ],
      [
        'eats buffers',
        'x => { const a = []; while (x === 1) a.push(new Uint8Array(1 << 20).fill(1)); return x }',
        'out-of-memory',
        /128 MB|allocation failed/
      ],
      ['never settles', 'x => x === 1 ? new Promise(() => {}) : x', 'invalid-result', /never settles/],
      ['answers a function', 'x => x === 1 ? () => 1 : x', 'invalid-result', /function/],
      [
        'answers a cycle',
        'x => { const a = [x]; if (x === 1) a.push(a); return a[x === 1 ? 1 : 0] }',
        'invalid-result',
        /cyclic/
      ],
      ['answers too much', 'x => x === 1 ? "a".repeat(2 ** 21) : x', 'invalid-result', /larger than 1048576/]
    ]
    for (const [what, source, failure, message] of failures) {
      it(`tells which input ${what}, and answers the others`, async () => {
        const timeoutMs = failure === 'timeout' ? LOOP_MS : PATIENT_MS
        const results = await run(fn(source), [0, 0, 1, 2, 3], { timeoutMs })
        assert.deepStrictEqual([results[0], results[1], results[3], results[4]], [0, 0, 2, 3])
        assert.equal(nameOf(results[2]), failure)
        assert.match((results[2] as { message: string }).message, message)
      })
    }

    it('shows the author the author’s own lines only', async () => {
      const source = 'x => {\n  const f = () => {\n    null.x ** 2\n  }\n  return [1].map(f)\n}'
      const [failure] = (await run(fn(source), [0])) as [{ stack: string }]
      assert.deepStrictEqual(
        failure.stack.split('\n').map(line => /task:(\d+):\d+/.exec(line)?.[1]),
        ['3', '5']
      )
    })

    const broken: [string, Program, number | undefined, number | undefined][] = [
      ['a syntax error', fn('x => {\n  return x +\n}'), 3, 1],
      ['an early error', fn('x => {\n  let a\n  let a\n}'), 3, 7],
      ['something else than a function', fn('42'), 1, 1],
      ['more than a function', fn('x => 1); globalThis.y = (1'), 1, 10],
      ['an import', { kind: 'module', source: '\nimport fs from "fs"\nexport default () => fs' }, 2, 1],
      ['no default export', { kind: 'module', source: 'export const a = 1' }, undefined, undefined],
      [
        'a broken function beside the task',
        { ...fn('x => x'), functions: { reduce: { kind: 'function', source: '(a, b) =>' } } },
        2,
        1
      ],
      [
        'bytes that are no WebAssembly',
        { kind: 'wasm', source: new Uint8Array([1, 2, 3]) },
        undefined,
        undefined
      ]
    ]
    for (const [what, program, line, column] of broken) {
      it(`refuses ${what} with its place`, async () => {
        await assert.rejects(sandbox.open(program, { limits, requester: 'test', trusted: true }), error => {
          const { name, line: atLine, column: atColumn } = error as Error & { line?: number; column?: number }
          assert.deepStrictEqual([name, atLine, atColumn], ['ProgramError', line, column])
          return true
        })
      })
    }

    it('aborts what is under way, and works on', async () => {
      const session = await sandbox.open(fn('x => { while (x) ; return x }'), {
        limits,
        requester: 'test',
        trusted: true
      })
      const abort = new AbortController()
      const running = session.run([encodeValue(0), encodeValue(1), encodeValue(0)], { signal: abort.signal })
      setTimeout(() => abort.abort(), 50)
      assert.equal(nameOf(read((await running)[2]!)), 'aborted')
      assert.deepStrictEqual((await session.run([encodeValue(0)])).map(read), [0])
      await session.close()
    })

    it('gives the same random numbers for the same seed and input, others otherwise', async () => {
      const program = { ...fn('() => [Math.random(), Math.random()]'), seed: 'a' }
      const [one, two, again] = await run(program, [1, 2, 1])
      const [other] = await run({ ...program, seed: 'b' }, [1])
      assert.deepStrictEqual(one, again)
      const all = [...(one as number[]), ...(two as number[]), ...(other as number[])]
      assert.equal(new Set(all).size, 6)
      assert.ok(all.every(x => x >= 0 && x < 1))
    })

    it('ends a session twice without complaint, and refuses work afterwards', async () => {
      const session: Session = await sandbox.open(fn('x => x'), { limits, requester: 'test', trusted: true })
      await session.close()
      await session.close()
      await assert.rejects(session.run([encodeValue(1)]), { name: 'SandboxUnavailableError' })
    })

    it('names the determinism class', () => {
      const [major, minor] = process.versions.v8.split('.')
      assert.equal(sandbox.class, `v8-${major}.${minor}/${process.arch}`)
    })
  })
}
