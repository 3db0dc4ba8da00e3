import type { Row, RunOptions } from './harness/contract.ts'
import { type Fleet, startFleet } from './harness/fleet.ts'
import { beside, besideRows } from './harness/statistics.ts'
import {
  COMPUTATIONS,
  COMPUTE_PEERS,
  type Computation,
  computationSpec,
  daskComputing,
  peerVersions,
  piscinaComputing,
  present,
  threads
} from './peers/index.ts'

export const metrics: Record<string, string> = {
  'compute.primes':
    'numbers up to 10^7 tested by trial division, two workers, without replicas; 5 × 10^7 with ARTEL_BENCH_COMPUTE=long',
  'compute.primes-share': 'speed of compute.primes as a multiple of the peer',
  'compute.mandelbrot':
    'points of 2000 × 2000 of the Mandelbrot set, at most 500 steps each, in the same way; ten times with ARTEL_BENCH_COMPUTE=long',
  'compute.mandelbrot-share': 'speed of compute.mandelbrot as a multiple of the peer',
  'compute.primes-at-home': 'compute.primes at a node that lends two slots and finds nobody else',
  'compute.primes-at-home-share': 'speed of compute.primes-at-home as a multiple of the peer',
  'compute.mandelbrot-at-home': 'compute.mandelbrot in the same way',
  'compute.mandelbrot-at-home-share': 'speed of compute.mandelbrot-at-home as a multiple of the peer'
}

export const versions = () => peerVersions(COMPUTE_PEERS)

/** Work that is nothing but CPU, cut into parts by each system; two workers everywhere, the same function in all. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const isLong = process.env.ARTEL_BENCH_COMPUTE === 'long'
  const size = quick ? 'quick' : isLong ? 'long' : 'full'
  // ten seconds of each are long enough beside what costs least
  const installed = isLong ? new Set<string>() : await present(COMPUTE_PEERS)
  await using fleet = await startFleet({ workers: 2 })
  await using home = await startFleet({ workers: 0, slots: 2 })
  const rows: Row[] = []
  for (const computation of COMPUTATIONS[size]) {
    await using stack = new AsyncDisposableStack()
    const { rate, right } = checking(computation)
    const worker_threads = async (): Promise<number> => right(await threads(computation))
    const peers: Record<string, () => Promise<number>> = { worker_threads }
    if (installed.has('piscina')) {
      const { run, stop } = await piscinaComputing(computation)
      stack.defer(stop)
      peers.piscina = async () => right(await run(computation))
    }
    if (installed.has('dask')) {
      const { run, stop } = await daskComputing()
      stack.defer(stop)
      peers.dask = async () => rate(await run(computation))
    }
    const spec = { ...(await computationSpec(computation)), verify: 'none' }
    const artel =
      ({ client }: Fleet) =>
      async (): Promise<number> => {
        const { ms, value } = await client.call('job', spec)
        return right({ ms, value: value as number })
      }
    const metric = `compute.${computation.name}`
    const rounds = quick ? 1 : 3
    const rates = await beside(rounds, artel(fleet), peers, failed)
    const atHome = await beside(rounds, artel(home), { worker_threads }, failed)
    rows.push(
      ...besideRows(metric, 'M/s', rates, `${metric}-share`),
      ...besideRows(`${metric}-at-home`, 'M/s', atHome, `${metric}-at-home-share`)
    )
  }
  return rows
}

/** Millions of units per second; the sums of all systems must be the known one, or at least the same. */
function checking({ name, start, end, value: known }: Computation) {
  let expected = known
  const rate = ({ ms }: { ms: number }): number => (end - start + 1) / ms / 1000
  const right = ({ ms, value }: { ms: number; value: number }): number => {
    expected ??= value
    if (value !== expected) throw new Error(`the sum of ${name} is ${value}, not ${expected}`)
    return rate({ ms })
  }
  return { rate, right }
}
