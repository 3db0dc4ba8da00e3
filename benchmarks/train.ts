import type { Row, RunOptions } from './harness/contract.ts'
import { startFleet } from './harness/fleet.ts'
import { beside, besideRows } from './harness/statistics.ts'
import {
  peerVersions,
  present,
  TRAINING,
  TRAINING_PEERS,
  tfjsTraining,
  trainingOf,
  trainingSpec
} from './peers/index.ts'

const STEPS = 8
// tfjs calculates in float32, Artel in float64: so far apart may a weight of about 0.05 be after the steps.
const TOLERANCE = 1e-5

export const metrics: Record<string, string> = {
  'train.step': 'one training step, two workers: network 784-128-10, batch of 512, gradient descent',
  'train.share': 'speed of train.step as a multiple of the same training in one thread'
}

export const versions = () => peerVersions(TRAINING_PEERS)

/** Synchronous training over two workers beside tfjs on one machine: same model, data, batches, and result. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const steps = quick ? 2 : STEPS
  const training = trainingOf(steps * TRAINING.batchSize)
  await using fleet = await startFleet({ workers: 2 })
  let expected: ArrayLike<number> | undefined
  const artel = async (): Promise<number> => {
    const { ms, value } = await fleet.client.call('job', trainingSpec(training))
    expected = (value as { model: { layers: { weights: Float64Array }[] } }).model.layers[0]!.weights
    return ms / steps
  }
  const tfjs = async (): Promise<number> => {
    const { ms, weights } = await tfjsTraining(training)
    const wrong = Array.from(weights).find((weight, i) => !(Math.abs(weight - expected![i]!) < TOLERANCE))
    if (wrong !== undefined)
      throw new Error(`a weight of tfjs is ${wrong}, further than ${TOLERANCE} from ours`)
    return ms / steps
  }
  const peers: Record<string, () => Promise<number>> = (await present(TRAINING_PEERS)).has('tfjs')
    ? { tfjs }
    : {}
  const times = await beside(quick ? 1 : 3, artel, peers, failed)
  return besideRows('train.step', 'ms', times, 'train.share')
}
