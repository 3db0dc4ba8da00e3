import type { Ledger } from '../../ledger/index.ts'
import { boundOf, priceOf, product, reservation } from '../market/price.ts'
import type { Exchange } from '../market/workers-on-offer.ts'
import type { Work } from '../tasks/contract.ts'
import { isPlanned, type TaskSpec } from '../tasks/registry.ts'
import { estimate } from './estimate.ts'

// Planning what is larger would cost more than the credits are worth.
const MAX_FORECAST_BYTES = 64 * 1024
// Newcomers are compared: two copies are paid.
const COPIES = 2

export interface BoundsComponents {
  ledger: Pick<Ledger, 'balance'>
  exchange: Pick<Exchange, 'factors'>
  /** ms per unit of a program, as workers measured it */
  rate(program: string): number | undefined
}

/** What jobs reserve, which is the most that they can cost. */
export function createBounds({ ledger, exchange, rate }: BoundsComponents) {
  /** `work`: of a job without `maxPrice` whose speed is known: CPU time of one copy and MB of a process. */
  function boundOfWork(spec: TaskSpec, work?: { cpuMs: number; memoryMb: number }): bigint {
    if (spec.maxPrice != null) return boundOf(spec.maxPrice)
    const { available } = ledger.balance()
    if (work == null) return reservation({ available })
    const { verify, priority } = spec
    const verification = verify === 'none' ? 1 : 'quorum' in verify ? verify.quorum : COPIES
    const factor = product({ ...exchange.factors(spec), verification })
    return reservation({ available, expected: priceOf(work.cpuMs, priority, { ...work, factor }) })
  }

  return {
    /** Of a task that is or might be submitted; `work`: what was made of it, that has not begun. */
    async boundOf(spec: TaskSpec, specBytes: number, work: Work): Promise<bigint> {
      if (spec.maxPrice != null || specBytes > MAX_FORECAST_BYTES || !isPlanned(spec))
        return boundOfWork(spec)
      const never = (): never => {
        throw new Error('a task that is planned at once runs nothing here to begin')
      }
      const parts = (await work.next(undefined, never)).map(([, part]) => part)
      const { cpuMs } = await estimate(work, parts, { measured: rate, calibrate: async () => undefined })
      return boundOfWork(spec, cpuMs == null ? undefined : { cpuMs, memoryMb: parts[0]?.load.memoryMb ?? 0 })
    }
  }
}

export type Bounds = ReturnType<typeof createBounds>
