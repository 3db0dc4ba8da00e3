// Programs and workers whose speed is remembered.
const MAX_RATES = 10_000
// What a measurement is worth after the next one: rates follow a machine that gets busy within a few slices.
const RATE_MEMORY = 0.7
// Units of one job need not take equally long: what a job begins with may take many times what the last one ended with.
const JOB_MEMORY = 0.99

// The speed of a program is that of the workers which answered last, so many of them.
const MAX_WITNESSES = 15

/** Weighted sums over slices: of the last few, and of many. */
interface Measured {
  ms: number
  units: number
  bytes: number
  allMs: number
  allUnits: number
}

/**
 * Measured speed and size of results by program, and by program and worker. How long a unit took is a worker's own word:
 * what is reckoned with at others is the median of workers, so that one that says it took no time changes little.
 */
export function createRates() {
  const rates = new Map<string, Measured>()
  /** by program: ms per unit of its workers, who answered last comes last, and their median */
  const said = new Map<string, { rates: Map<string, number>; median: number }>()

  return {
    /** true where this worker itself was measured */
    knows: (program: string, worker: string): boolean => rates.has(`${program} ${worker}`),

    /**
     * Expected ms and bytes of the result per unit, and how many units that was measured on; of the program where the
     * worker is new to it. `cautious`: ms per unit as over many slices, where that is more.
     */
    of(
      program: string,
      worker?: string
    ): { rate: number; cautious: number; bytes: number; measured: number } | undefined {
      const own = worker == null ? undefined : rates.get(`${program} ${worker}`)
      const known = own ?? rates.get(program)
      if (known == null) return
      const { ms, units, bytes, allMs, allUnits } = known
      const rate = Math.max(known === own ? ms / units : said.get(program)!.median, 1e-6)
      const cautious = Math.max(rate, (rate * allMs * units) / (allUnits * ms || 1))
      return { rate, cautious, bytes: bytes / units, measured: units }
    },

    learn(program: string, worker: string, slice: { ms: number; units: number; bytes: number }): void {
      for (const key of [program, `${program} ${worker}`]) {
        const old = rates.get(key) ?? { ms: 0, units: 0, bytes: 0, allMs: 0, allUnits: 0 }
        // the oldest measurement goes first: insertion order is order of use
        rates.delete(key)
        rates.set(key, {
          ms: old.ms * RATE_MEMORY + slice.ms,
          units: old.units * RATE_MEMORY + slice.units,
          bytes: old.bytes * RATE_MEMORY + slice.bytes,
          allMs: old.allMs * JOB_MEMORY + slice.ms,
          allUnits: old.allUnits * JOB_MEMORY + slice.units
        })
      }
      const { ms, units } = rates.get(`${program} ${worker}`)!
      const witnesses = said.get(program)?.rates ?? new Map<string, number>()
      witnesses.delete(worker)
      witnesses.set(worker, ms / units)
      if (witnesses.size > MAX_WITNESSES) witnesses.delete(witnesses.keys().next().value as string)
      said.set(program, { rates: witnesses, median: medianOf(witnesses) })
      while (rates.size > MAX_RATES) {
        const oldest = rates.keys().next().value as string
        rates.delete(oldest)
        said.delete(oldest)
      }
    }
  }
}

/** Of an even number of workers the middle between the two. */
function medianOf(rates: ReadonlyMap<string, number>): number {
  const sorted = [...rates.values()].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
