import { load } from './pools.ts'

/** A classifier of small images and made-up data for it, the same in every run. */
const INPUTS = 784
const HIDDEN = 128
const CLASSES = 10
export const TRAINING = { batchSize: 512, learningRate: 0.1 }

export interface Training {
  x: Float64Array
  /** number of the class of each sample */
  y: Float64Array
  layers: { units: number; activation: 'relu' | 'softmax'; weights: Float64Array; bias: Float64Array }[]
}

export function trainingOf(samples: number): Training {
  let state = 1
  // Lehmer's generator with the constants of Park and Miller, "Random number generators: good ones are hard to find", 1988
  const random = (): number => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const fill = (length: number, most: number): Float64Array =>
    Float64Array.from({ length }, () => (2 * random() - 1) * most)
  return {
    x: Float64Array.from({ length: samples * INPUTS }, random),
    y: Float64Array.from({ length: samples }, () => Math.floor(random() * CLASSES)),
    layers: [
      {
        units: HIDDEN,
        activation: 'relu',
        weights: fill(INPUTS * HIDDEN, 0.05),
        bias: new Float64Array(HIDDEN)
      },
      {
        units: CLASSES,
        activation: 'softmax',
        weights: fill(HIDDEN * CLASSES, 0.2),
        bias: new Float64Array(CLASSES)
      }
    ]
  }
}

/** As a spec of Artel: one epoch. */
export function trainingSpec({ x, y, layers }: Training): object {
  return {
    type: 'ml_train_step',
    model: { layers },
    data: { x: { rows: y.length, cols: INPUTS, data: x }, y },
    loss: 'cross-entropy',
    ...TRAINING,
    verify: 'none'
  }
}

/** One epoch with tfjs in this thread, on its backend in plain JavaScript: ms, and the weights of the first layer. */
export async function tfjsTraining({
  x,
  y,
  layers
}: Training): Promise<{ ms: number; weights: ArrayLike<number> }> {
  const tf = await load('@tensorflow/tfjs')
  await tf.setBackend('cpu')
  const { batchSize, learningRate } = TRAINING
  const model = tf.sequential()
  for (const [i, { units, activation, weights, bias }] of layers.entries()) {
    const inputs = weights.length / units
    model.add(
      tf.layers.dense({
        ...(i === 0 ? { inputShape: [inputs] } : {}),
        units,
        activation,
        weights: [tf.tensor2d(Float32Array.from(weights), [inputs, units]), tf.tensor1d([...bias])]
      })
    )
  }
  model.compile({ optimizer: tf.train.sgd(learningRate), loss: 'categoricalCrossentropy' })
  const batches = Array.from({ length: Math.ceil(y.length / batchSize) }, (_, i) => {
    const [from, to] = [i * batchSize, Math.min(y.length, (i + 1) * batchSize)]
    return [
      tf.tensor2d(Float32Array.from(x.subarray(from * INPUTS, to * INPUTS)), [to - from, INPUTS]),
      tf.oneHot(tf.tensor1d(Int32Array.from(y.subarray(from, to)), 'int32'), CLASSES).toFloat()
    ]
  })
  const started = performance.now()
  for (const [xs, ys] of batches) await model.trainOnBatch(xs, ys)
  const weights = await model.layers[0].getWeights()[0].data()
  const ms = performance.now() - started
  for (const tensor of batches.flat()) tensor.dispose()
  model.dispose()
  return { ms, weights }
}
