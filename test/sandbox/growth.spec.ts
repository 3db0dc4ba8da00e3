import { strict as assert } from 'node:assert'
import { readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createSandbox, encodeValue, type Sandbox } from '../../sandbox/index.ts'
import { limits, read } from '../compliance/sandbox.ts'
import { hostilePrograms } from './hostile-programs.ts'
import { descendants, eventually } from './processes.ts'

// the short form by default; the issue's: ARTEL_SANDBOX_JOBS=10000 npx mocha test/sandbox/growth.spec.ts
const JOBS = Number(process.env.ARTEL_SANDBOX_JOBS ?? 1_500)
// every second one is hostile: ARTEL_SANDBOX_SESSIONS=2000 runs 1,000 hostile jobs in a row
const SESSIONS = Number(process.env.ARTEL_SANDBOX_SESSIONS ?? Math.ceil(JOBS / 50))
const MIB_BYTES = 1 << 20

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

function heapBytes(): number {
  // what was let go of by weak references is collected by a second and third run
  for (let i = 0; i < 3; i++) gc()
  return process.memoryUsage().heapUsed
}
const descriptors = () => readdirSync('/proc/self/fd').length

describe('sandbox: many jobs in a row', function () {
  this.timeout(600_000 + JOBS * 50 + SESSIONS * 1000)
  let sandbox: Sandbox
  before(async () => {
    sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
  })
  after(() => sandbox.stop())

  it(`runs ${JOBS} batches in one session, each in a new context, without growing`, async () => {
    const source = 'x => { globalThis.kept = new Array(1000).fill(x); return globalThis.kept.length }'
    const session = await sandbox.open({ kind: 'function', source }, { limits, requester: 'a' })
    const batch = [1, 2, 3].map(x => encodeValue(x))
    // a leak of one context (about 0.5 MB) per run would end this session after some 250 runs: the child may take 128 MB
    const before = heapBytes()
    for (let i = 0; i < JOBS; i++)
      assert.deepStrictEqual((await session.run(batch)).map(read), [1000, 1000, 1000])
    assert.ok(heapBytes() - before < 8 * MIB_BYTES, `${(heapBytes() - before) / MIB_BYTES} MiB more heap`)
    await session.close()
  })

  it(`opens and closes ${SESSIONS} sessions of good and hostile programs, and is as small as before`, async () => {
    const all = Object.values(hostilePrograms).flat()
    const settle = () => eventually('one warm child waits', () => descendants(process.pid).length <= 2)
    await settle()
    const before = {
      heap: heapBytes(),
      descriptors: descriptors(),
      processes: descendants(process.pid).length
    }
    for (let i = 0; i < SESSIONS; i++) {
      const program =
        i % 2 === 0 ? ({ kind: 'expression', source: 'x' } as const) : all[i % all.length]!.program
      const given = { timeoutMs: 50, memoryMb: 64, outputBytes: 1000 }
      const session = await sandbox.open(
        { ...program, context: encodeValue({}) },
        { limits: given, requester: `${i}` }
      )
      await session.run([encodeValue(i)])
      await session.close()
    }
    await eventually('no more processes and descriptors than before', () => {
      const [processes, open] = [descendants(process.pid).length, descriptors()]
      return processes <= before.processes && open <= before.descriptors + 1
    })
    assert.ok(
      heapBytes() - before.heap < 8 * MIB_BYTES,
      `${(heapBytes() - before.heap) / MIB_BYTES} MiB more heap`
    )
  })
})
