import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { beside, besideRows } from './harness/statistics.ts'
import { MATRIX_PEERS, mlMatrixProduct, peerVersions, present, startPython } from './peers/index.ts'

/** ARTEL_BENCH_MATRIX_ROWS gives another size; ml-matrix takes minutes for 4096. */
const USUAL_ROWS = 1024

export const metrics: Record<string, string> = {
  'matrix.product':
    'product of two 1024 × 1024 float64 matrices, two workers, without replicas; of other sizes with ARTEL_BENCH_MATRIX_ROWS',
  'matrix.share': 'speed of matrix.product as a multiple of the peer'
}

export const versions = () => peerVersions(MATRIX_PEERS)

export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const { ARTEL_BENCH_MATRIX_ROWS: told = quick ? 256 : USUAL_ROWS } = process.env
  const size = Number(told)
  const isLarge = size > USUAL_ROWS
  const rounds = quick || isLarge ? 1 : 3
  await using fleet = await startFleet({ workers: 2 })
  const sums = new Set<number>()
  const right = ({ ms, sum }: { ms: number; sum: number }): number => {
    if (sums.add(sum).size > 1) throw new Error(`products differ: their sums are ${[...sums].join(' and ')}`)
    return ms
  }
  await using stack = new AsyncDisposableStack()
  const peers: Record<string, () => Promise<number>> = {}
  const installed = await present(MATRIX_PEERS)
  if (installed.has('ml-matrix') && !isLarge)
    peers['ml-matrix'] = async () => right(await mlMatrixProduct(size))
  if (installed.has('numpy'))
    for (const [name, environment] of [
      ['numpy, 1 thread', { OPENBLAS_NUM_THREADS: '1' }],
      ['numpy, all cores', {}]
    ] as const) {
      const { ask, stop } = await startPython('numpy', environment)
      stack.defer(stop)
      peers[name] = async () => right(await ask({ run: 'product', size }))
    }
  const artel = async (): Promise<number> => right(await fleet.client.call('product', { size }))
  return besideRows('matrix.product', 'ms', await beside(rounds, artel, peers, failed), 'matrix.share')
}
