// What a measurement is worth after the next one, as for rates.
const MEMORY = 0.7
// Taken for true of a link before it was measured, and afterwards with this weight: a worker near by, at 50 MB/s.
const SUPPOSED = [
  { bytes: 0, ms: 2 },
  { bytes: 1 << 20, ms: 23 }
]
const SUPPOSED_WEIGHT = 0.1

/** Weighted sums of bytes and ms, of their products, and of the weights. */
interface Sums {
  weight: number
  bytes: number
  ms: number
  square: number
  product: number
}

/** What slices take beside their own time at workers in another process: so much each, and so much per byte. */
export function createLinkCosts() {
  const links = new Map<string, Sums>()

  /** Least squares of a line through what was measured; neither part is negative. */
  function lineOf(worker: string): { ms: number; perByte: number } {
    const { weight, bytes, ms, square, product } = links.get(worker) ?? supposed()
    const spread = weight * square - bytes * bytes
    const perByte = spread <= 0 ? 0 : Math.max(0, (weight * product - bytes * ms) / spread)
    return { ms: Math.max(0, (ms - perByte * bytes) / weight), perByte }
  }

  return {
    /** Expected ms for a slice that moves so many bytes, both ways. */
    of(worker: string, bytes: number): number {
      const { ms, perByte } = lineOf(worker)
      return ms + perByte * bytes
    },

    /** `beside`: ms that passed and were not work. Where travel was hidden behind work, none tells little. */
    learn(
      worker: string,
      { bytes, beside, passed }: { bytes: number; beside: number; passed: number }
    ): void {
      const isHidden = beside <= 0
      if (isHidden && this.of(worker, bytes) <= passed) return
      const old = links.get(worker) ?? supposed()
      const ms = isHidden ? passed : beside
      const known: Sums = { weight: 0, bytes: 0, ms: 0, square: 0, product: 0 }
      const before = supposed()
      // what is supposed keeps its weight, or slices of one size would say nothing of others
      for (const key of Object.keys(known) as (keyof Sums)[])
        known[key] = before[key] + (old[key] - before[key]) * MEMORY
      links.set(worker, plus(known, bytes, ms, 1))
    },

    gone: (worker: string): void => void links.delete(worker)
  }
}

function supposed(): Sums {
  const none = { weight: 0, bytes: 0, ms: 0, square: 0, product: 0 }
  return SUPPOSED.reduce<Sums>((sums, { bytes, ms }) => plus(sums, bytes, ms, SUPPOSED_WEIGHT), none)
}

function plus(sums: Sums, bytes: number, ms: number, weight: number): Sums {
  return {
    weight: sums.weight + weight,
    bytes: sums.bytes + weight * bytes,
    ms: sums.ms + weight * ms,
    square: sums.square + weight * bytes * bytes,
    product: sums.product + weight * bytes * ms
  }
}
