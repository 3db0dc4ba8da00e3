// Programs and workers whose speed is remembered.
const MAX_RATES = 10_000
// What a measurement is worth after the next one: rates follow a machine that gets busy within a few slices.
const RATE_MEMORY = 0.7

/** Measured speed and size of results by program, and by program and worker. */
export function createRates() {
  const rates = new Map<string, { ms: number; units: number; bytes: number }>()

  return {
    /** true where this worker itself was measured */
    knows: (program: string, worker: string): boolean => rates.has(`${program} ${worker}`),

    /**
     * Expected ms and bytes of the result per unit, and how many units that was measured on; of the program where the
     * worker is new to it.
     */
    of(program: string, worker?: string): { rate: number; bytes: number; measured: number } | undefined {
      const known = (worker == null ? undefined : rates.get(`${program} ${worker}`)) ?? rates.get(program)
      if (known == null) return
      const { ms, units, bytes } = known
      return { rate: Math.max(ms / units, 1e-6), bytes: bytes / units, measured: units }
    },

    learn(program: string, worker: string, slice: { ms: number; units: number; bytes: number }): void {
      for (const key of [program, `${program} ${worker}`]) {
        const old = rates.get(key) ?? { ms: 0, units: 0, bytes: 0 }
        // the oldest measurement goes first: insertion order is order of use
        rates.delete(key)
        rates.set(key, {
          ms: old.ms * RATE_MEMORY + slice.ms,
          units: old.units * RATE_MEMORY + slice.units,
          bytes: old.bytes * RATE_MEMORY + slice.bytes
        })
      }
      while (rates.size > MAX_RATES) rates.delete(rates.keys().next().value as string)
    }
  }
}
