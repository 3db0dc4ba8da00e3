/** What the process of a machine had used at one moment. */
export interface Sample {
  /** ms since 1970 */
  at: number
  /** since the process started */
  cpuMs: number
  memoryMb: number
}

/** Five minutes of one every two seconds. */
const MOST = 150

/** With one more; a machine that was started again begins anew. */
export function addSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = samples.at(-1)
  if (last !== undefined && sample.cpuMs < last.cpuMs) return [sample]
  return [...samples, sample].slice(-MOST)
}

/** Seconds since 1970 and a figure each: CPU in percent of one processor between two samples, memory in MB. */
export function seriesOf(samples: readonly Sample[]): { cpu: number[][]; memory: number[][] } {
  const later = samples.slice(1)
  const share = (sample: Sample, i: number): number => {
    const before = samples[i]!
    return (100 * (sample.cpuMs - before.cpuMs)) / Math.max(1, sample.at - before.at)
  }
  return {
    cpu: [later.map(({ at }) => at / 1_000), later.map(share)],
    memory: [samples.map(({ at }) => at / 1_000), samples.map(({ memoryMb }) => memoryMb)]
  }
}
