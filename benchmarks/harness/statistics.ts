import type { Row } from './contract.ts'

export function summary(metric: string, unit: string, samples: number[], peer?: string): Row {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    metric,
    unit,
    median: percentile(sorted, 50),
    min: sorted[0]!,
    max: sorted.at(-1)!,
    runs: samples.length,
    ...(peer == null ? {} : { peer })
  }
}

/** Nearest rank between two neighbours for the median of an even count; `samples` need not be sorted. */
export function percentile(samples: number[], p: number): number {
  if (samples.length === 0) throw new RangeError('no samples: nothing was measured')
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (p / 100) * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at))
}

/**
 * Runs the variants in turn, A B A B …, so that a machine that gets slower or faster hits all of them alike.
 * The first round warms up and is thrown away.
 */
export async function alternate<K extends string>(
  rounds: number,
  variants: Record<K, () => Promise<number>>
): Promise<Record<K, number[]>> {
  const names = Object.keys(variants) as K[]
  const samples = Object.fromEntries(names.map(name => [name, [] as number[]])) as Record<K, number[]>
  for (let round = 0; round <= rounds; round++)
    for (const name of names) {
      const value = await variants[name]()
      if (round > 0) samples[name].push(value)
    }
  return samples
}

/** Samples of Artel and of each peer on the same work. */
export interface Beside {
  artel: number[]
  peers: [name: string, samples: number[]][]
}

/** Artel and its peers in turn, as `alternate`. A peer that fails is told to `failed` and left out altogether. */
export async function beside(
  rounds: number,
  artel: () => Promise<number>,
  peers: Record<string, () => Promise<number>>,
  failed: (peer: string, error: Error) => void
): Promise<Beside> {
  const own: number[] = []
  const left = new Map(Object.keys(peers).map(name => [name, [] as number[]]))
  for (let round = 0; round <= rounds; round++) {
    const value = await artel()
    if (round > 0) own.push(value)
    for (const [name, samples] of left)
      try {
        const sample = await peers[name]!()
        if (round > 0) samples.push(sample)
      } catch (error) {
        failed(name, error as Error)
        left.delete(name)
      }
  }
  return { artel: own, peers: [...left] }
}

/**
 * Rows of `beside`: Artel, each peer, and as `share` how many times as fast Artel is, from neighbouring runs.
 * `unit` ms: less is faster; otherwise more is.
 */
export function besideRows(metric: string, unit: string, { artel, peers }: Beside, share: string): Row[] {
  return [
    summary(metric, unit, artel),
    ...peers.flatMap(([name, samples]) => [
      summary(metric, unit, samples, name),
      summary(share, '×', unit === 'ms' ? ratios(samples, artel) : ratios(artel, samples), name)
    ])
  ]
}

/** a[i] / b[i]: neighbours in time, so that noise that lasts longer than one round cancels out. */
export function ratios(a: number[], b: number[]): number[] {
  return a.map((value, i) => value / b[i]!)
}
