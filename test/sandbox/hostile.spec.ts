import { strict as assert } from 'node:assert'
import { createSandbox, encodeValue, type Limits, type Sandbox } from '../../sandbox/index.ts'
import { PATIENT_MS, read } from '../compliance/sandbox.ts'
import { type Canary, createCanary } from './canary.ts'
import { hostilePrograms } from './hostile-programs.ts'
import { descendants, eventually, peakBytes } from './processes.ts'

const MIB_BYTES = 1 << 20
const limits: Limits = { timeoutMs: 400, memoryMb: 96, outputBytes: 1 << 20 }
/** Results end by themselves, or never: what may be either costs so long. */
const RESULT_MS = 2_000
const MS: Record<string, number> = { escapes: PATIENT_MS, results: RESULT_MS }
const ABOVE_BYTES = 64 * MIB_BYTES // the bound, above limit and idle size

describe('sandbox: hostile programs', () => {
  let sandbox: Sandbox
  let canary: Canary
  before(async () => {
    canary = await createCanary()
    sandbox = createSandbox({ warm: 1 })
    await sandbox.start()
    assert.ok(sandbox.walled, `walls are missing: ${JSON.stringify(sandbox.walls)}`)
  })
  after(async () => {
    await sandbox.stop()
    await canary.close()
    await eventually('no child is left', () => descendants(process.pid).length === 0)
  })

  for (const [kind, programs] of Object.entries(hostilePrograms)) {
    for (const { name, program, ends } of programs) {
      it(`${kind}: ${name}`, async () => {
        const context = encodeValue(canary.bait)
        const given = { ...limits, timeoutMs: MS[kind] ?? limits.timeoutMs }
        const session = await sandbox.open({ ...program, context }, { limits: given, requester: 'stranger' })
        // its own child has started, the next one perhaps not
        const idle = Math.max(0, ...descendants(process.pid).map(peakBytes))
        let peak = 0
        const look = (): void => {
          peak = Math.max(peak, ...descendants(process.pid).map(peakBytes))
        }
        // all processes of this machine are read each time: that is done only where memory is asked for
        const watch = kind === 'memory' ? setInterval(look, 5) : undefined
        try {
          const [outcome] = await session.run([encodeValue(null)])
          const end = outcome!.ok ? read(outcome!) : outcome!.failure.name
          assert.ok(
            (ends as unknown[]).includes(end),
            `ended with ${JSON.stringify(outcome!.ok ? end : outcome!.failure)}`
          )
          assert.deepStrictEqual(canary.trips(JSON.stringify(read(outcome!)) ?? ''), [])
          if (kind === 'memory') {
            assert.ok(
              peak <= idle + limits.memoryMb * MIB_BYTES + ABOVE_BYTES,
              `${peak / MIB_BYTES} MiB resident`
            )
          }
        } finally {
          clearInterval(watch)
          await session.close()
        }
      })
    }

    // of what came after each of them, the next one tells
    it(`${kind}: others are served as before`, async () => {
      const session = await sandbox.open(
        { kind: 'expression', source: 'x + 1' },
        { limits: { ...limits, timeoutMs: PATIENT_MS }, requester: 'other' }
      )
      assert.deepStrictEqual((await session.run([encodeValue(41)])).map(read), [42])
      await session.close()
    })
  }
})
