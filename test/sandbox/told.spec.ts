import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Failure, type Program, type Sandbox } from '../../sandbox/index.ts'
import { limits } from '../compliance/sandbox.ts'
import { wasmModule } from './wasm-module.ts'

const AND_NO_ERROR = ', and no Error, which would say where'
/** What is thrown, and what its author reads. */
const THROWN: [string, string][] = [
  ['{}', `threw {}${AND_NO_ERROR}`],
  ['{ code: 3, at: [1] }', `threw {"code":3,"at":[1]}${AND_NO_ERROR}`],
  ['[1, "a"]', `threw [1,"a"]${AND_NO_ERROR}`],
  ['null', `threw null${AND_NO_ERROR}`],
  ['undefined', `threw undefined${AND_NO_ERROR}`],
  ['"no such luck"', `threw "no such luck"${AND_NO_ERROR}`],
  ['7n', `threw 7${AND_NO_ERROR}`],
  ['Symbol("s")', `threw Symbol(s)${AND_NO_ERROR}`],
  ['() => 1', `threw a function${AND_NO_ERROR}`],
  ['new Float64Array(8)', `threw a Float64Array${AND_NO_ERROR}`],
  ['new (class Fault { code = 3 })()', `threw Fault {"code":3}${AND_NO_ERROR}`],
  ['{ get code() { throw 1 } }', `threw an object that cannot be shown${AND_NO_ERROR}`],
  ['{ toString() { throw 1 }, toJSON() { return "mine" } }', `threw "mine"${AND_NO_ERROR}`],
  ['(() => { const a = {}; a.a = a; return a })()', `threw an object that cannot be shown${AND_NO_ERROR}`],
  [
    'new Proxy({}, { getPrototypeOf() { throw 1 }, get() { throw 1 }, ownKeys() { throw 1 } })',
    `threw an object that cannot be shown${AND_NO_ERROR}`
  ],
  ['Object.create(null)', `threw {}${AND_NO_ERROR}`],
  ['new RangeError("too far")', 'RangeError: too far'],
  ['new Error()', 'Error: Error {}'],
  ['Object.assign(new Error(), { code: 3 })', 'Error: Error {"code":3}'],
  [
    'Object.defineProperty(new Error("x"), "message", { get() { throw 1 } })',
    'Error: an error whose message cannot be shown'
  ],
  [
    'Object.defineProperty(new TypeError("x"), "message", { value: { a: 1 } })',
    'TypeError: an error whose message cannot be shown'
  ],
  ['Object.defineProperty(new Error("it"), "name", { get() { throw 1 } })', 'Error: it']
]

// reads a byte of standard input, writes it to standard error, until there is none
const BYTE_BY_BYTE =
  '41 00 41 10 36 02 00 41 04 41 01 36 02 00 03 40 41 00 41 00 41 01 41 08 10 00 1a 41 08 28 02 00 04 40 41 02 41 00 41 01 41 0c 10 01 1a 0c 01 0b 0b'
const EXIT_3 = '41 03 41 00 41 00 41 00 10 02 1a'
const TRAP = '00'

describe('sandbox: what the author of a failed program is told', () => {
  let sandbox: Sandbox
  before(async () => {
    sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
  })
  after(() => sandbox.stop())

  async function failureOf(program: Program, input: unknown = 1): Promise<Failure> {
    const session = await sandbox.open(program, { limits, requester: 'a' })
    try {
      const [outcome] = await session.run([encodeValue(input)])
      assert.ok(outcome && !outcome.ok)
      return outcome.failure
    } finally {
      await session.close()
    }
  }

  for (const [thrown, expected] of THROWN)
    it(`throw ${thrown}`, async () => {
      for (const source of [`x => { throw ${thrown} }`, `async x => { throw ${thrown} }`]) {
        const { name, message } = await failureOf({ kind: 'function', source })
        assert.deepEqual([name, message], ['threw', expected])
      }
    })

  describe('standard error of WASI', () => {
    const said = async (end: string, stdin: Uint8Array | string): Promise<string> => {
      const source = wasmModule({
        body: BYTE_BY_BYTE + end,
        name: '_start',
        imports: ['fd_read', 'fd_write', 'proc_exit']
      })
      return (await failureOf({ kind: 'wasi', source }, stdin)).message
    }

    it('is UTF-8, wherever a character is cut between writes', async () => {
      assert.equal(await said(EXIT_3, 'плохо: €, 🦊'), 'Error: exit code 3: плохо: €, 🦊')
    })

    it('is readable around what is no UTF-8', async () => {
      const bytes = Buffer.concat([
        Buffer.from('да '),
        Buffer.from([0xff, 0xd0, 0x20, 0xe2, 0x82]),
        Buffer.from(' нет')
      ])
      assert.equal(
        await said(EXIT_3, new Uint8Array(bytes)),
        'Error: exit code 3: да \ufffd\ufffd \ufffd\ufffd нет'
      )
    })

    it('is kept up to its limit, also where that cuts a character', async () => {
      assert.equal(await said(EXIT_3, '€'.repeat(2000)), `Error: exit code 3: ${'€'.repeat(1365)}\ufffd`)
    })

    it('says why it trapped', async () => {
      assert.equal(await said(TRAP, 'panicked at main.rs'), 'RuntimeError: unreachable: panicked at main.rs')
    })
  })
})
