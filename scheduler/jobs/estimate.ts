import type { Sandbox } from '../../sandbox/index.ts'
import { assemble } from '../data/pieced-input.ts'
import { TARGET_SLICE_MS } from '../market/match.ts'
import type { Basis } from '../market/price.ts'
import type { Part, Work } from '../tasks/contract.ts'
import { LEAST_AUDITED_MS } from '../trust/credibility.ts'

// A calibration is worth it when what it loads is small and what it runs ends soon.
const MAX_CALIBRATION_BYTES = 1024 * 1024
const MAX_CALIBRATION_MS = 1000
// Long enough to be more than the call itself and a cold compiler.
const ENOUGH_MS = 20
const GROWTH = 16
// Where in the job: later units often take longer than the first.
const PLACES = [1 / 6, 1 / 2, 5 / 6]

/**
 * CPU time of one copy of a job that has not started: from the measured rates of its programs, else from a short run
 * here. Parts that cannot be planned before others have results are taken to be like those that can. `items`: of a
 * slice whose answer can be audited in part, else 1.
 */
export async function estimate(
  work: Pick<Work, 'total'>,
  parts: readonly Part[],
  rates: {
    /** ms per unit of a program, as workers measured it */
    measured(program: string): number | undefined
    calibrate(part: Part): Promise<number | undefined>
  }
): Promise<{ cpuMs?: number; basis: Basis; items: number }> {
  let items = 1
  let ms = 0
  let units = 0
  let basis: Basis = 'measured'
  for (const part of parts) {
    let rate = rates.measured(part.rateKey)
    if (rate == null) {
      basis = 'calibrated'
      rate = await rates.calibrate(part)
    }
    if (rate == null) return { basis: 'default', items }
    const perSlice = itemsPerSlice(part, rate)
    if (part.cut != null && perSlice * rate >= LEAST_AUDITED_MS) items = Math.max(items, perSlice)
    ms += rate * part.units
    units += part.units
  }
  return { cpuMs: units === 0 ? 0 : ms * (work.total / units), basis, items }
}

/** Units of a slice when the speed is known and the tail is far. */
function itemsPerSlice({ units, mostUnits }: Part, rate: number): number {
  return Math.min(units, mostUnits, Math.max(1, Math.floor(TARGET_SLICE_MS / Math.max(rate, 1e-6))))
}

/**
 * Runs a unit of the beginning, the middle and the end of the part in this node's own sandbox, then more at a time
 * until the clock can tell; ms per unit, or undefined when they are too large, take too long, or fail.
 */
export async function calibrate(
  part: Part,
  sandbox: Sandbox,
  {
    requester,
    block,
    signal
  }: {
    requester: string
    /** a block of this node, for inputs by CID */
    block: (digest: Uint8Array) => Promise<Uint8Array>
    signal: AbortSignal
  }
): Promise<number | undefined> {
  const inputs = (count: number): Promise<Uint8Array[]> =>
    Promise.all(
      PLACES.flatMap(place => part.inputs(Math.floor((part.units - count) * place), count)).map(input =>
        assemble(input, range => block(range.block))
      )
    )
  const { t: _, program: __, type: ___, timeoutMs: ____, memoryMb, ...program } = part.load
  const first = await inputs(1)
  const bytes = [program.context ?? '', program.source, ...first].reduce((sum, { length }) => sum + length, 0)
  if (bytes > MAX_CALIBRATION_BYTES) return
  const limits = { timeoutMs: MAX_CALIBRATION_MS, memoryMb, outputBytes: 16 * MAX_CALIBRATION_BYTES }
  const session = await sandbox.open(program, { requester, trusted: true, limits, signal })
  try {
    let rate: number | undefined
    const most = Math.min(part.units, part.mostUnits)
    for (let count = 1; ; count = Math.min(most, count * GROWTH)) {
      const outcomes = await session.run(await inputs(count), { signal })
      if (!outcomes.every(outcome => outcome.ok)) return rate
      const ms = outcomes.reduce((sum, outcome) => sum + outcome.ms, 0)
      rate = ms / (count * PLACES.length)
      if (ms >= ENOUGH_MS || count === most) return rate
    }
  } finally {
    await session.close()
  }
}
