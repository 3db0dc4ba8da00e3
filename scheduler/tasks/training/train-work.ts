import type { Program } from '../../../sandbox/index.ts'
import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { ProtocolError } from '../../errors.ts'
import type { LoadMessage } from '../../protocol/compute-messages.ts'
import { malformed, type Part, type Work } from '../contract.ts'
import { driverSource, encodeContext } from '../drivers.ts'
import { foldBlocks } from '../fold-tree.ts'
import { treeReducer } from '../reducers.ts'
import { ANSWER_BYTES } from './check-training.ts'
import type { Training } from './model.ts'
import { describeLayers, initialParameters, layersOf } from './model.ts'
import type { Context, Numbers, Sums } from './network.ts'
import { createNetwork } from './network.ts'

interface Input {
  /** of each layer the weights (inputs × units, row-major), then the bias */
  parameters: Float64Array
  /** of the samples of the shards [first, first + count) */
  x: Numbers
  y: Numbers
  /** shards in the whole batch */
  shards: number
  first: number
  count: number
}

/** Adds the right sums to the left ones. Self-contained, runs on both sides. */
function addSums(left: Sums, right: Sums): Sums {
  const { gradient } = left
  for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! + right.gradient[i]!
  return { gradient, loss: left.loss + right.loss, correct: left.correct + right.correct }
}

/** Runs inside the sandbox; uses only what driverSource() puts beside it. */
function driver(_task: unknown, _functions: unknown, context: Context) {
  const { layers, shardSize, classes } = context
  const network = createNetwork(context)
  const inputs = layers[0]!.inputs
  const outputs = classes ? 1 : layers[layers.length - 1]!.units
  return ({ parameters, x, y, shards, first, count }: Input): unknown => {
    const leaf = (shard: number): Sums => {
      const from = (shard - first) * shardSize
      const to = Math.min(from + shardSize, y.length / outputs)
      return network.sums(
        parameters,
        x.subarray(from * inputs, to * inputs),
        y.subarray(from * outputs, to * outputs),
        to - from
      )
    }
    return foldBlocks(shards, first, count, leaf, addSums)
  }
}

const DRIVER = driverSource(driver, { createNetwork, addSums, foldBlocks })

// Without `shardSize` a batch is cut into this many shards: enough for some workers, few enough that weights and
// gradients are not sent too often.
const SHARDS = 8
const MESSAGE_BYTES = 4 * 1024 * 1024
// Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, section 2
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8]

/**
 * Synchronous data-parallel training. Each step is a part of the job and depends on the one before: a unit is one
 * shard of the batch, its output the sum of its gradient; the sums are added in the fixed tree, divided by the number
 * of samples and applied here. So the weights have the same bits for any number of workers.
 * The result is `{ model: { layers }, epochs: [{ loss, accuracy }] }`, means over the samples as they were met.
 */
export function trainWork(spec: Training, loadOf: (program: Program) => LoadMessage): Work {
  const { data, batchSize, epochs, optimizer, learningRate } = spec
  const { x } = data
  const classes = !('rows' in data.y)
  const y: Numbers = 'rows' in data.y ? data.y.data : data.y
  const layers = layersOf(spec)
  const outputs = classes ? 1 : layers.at(-1)!.units
  const shardSize = spec.shardSize ?? Math.ceil(batchSize / SHARDS)
  const context: Context = { layers, loss: spec.loss, shardSize, classes }
  const load = loadOf({
    kind: 'expression',
    source: 'x',
    driver: DRIVER,
    context: encodeContext({ ...context })
  })
  const batches = Math.ceil(x.rows / batchSize)
  const steps = batches * epochs
  const samplesOf = (step: number): number => Math.min(batchSize, x.rows - (step % batches) * batchSize)
  const shardsOf = (step: number): number => Math.ceil(samplesOf(step) / shardSize)
  const shardsOfEpoch = Array.from({ length: batches }, (_, i) => shardsOf(i)).reduce((a, b) => a + b, 0)
  const total = shardsOfEpoch * epochs

  const parameters = initialParameters(spec, layers)
  const momentum = new Float64Array(optimizer === 'adam' ? parameters.length : 0)
  const variance = new Float64Array(momentum.length)
  let decay1 = 1
  let decay2 = 1
  const history: { loss: number; accuracy: number }[] = []
  let current: Part

  function partOf(step: number): Part {
    const shards = shardsOf(step)
    const begin = (step % batches) * batchSize
    const end = begin + samplesOf(step)
    const createReducer = () =>
      treeReducer({
        blocks: shards,
        expect: value => expectSums(value, parameters.length),
        combine: addSums as (left: unknown, right: unknown) => unknown,
        finish: root => root
      })
    const shardBytes = shardSize * (x.cols + outputs) * 8
    return {
      units: shards,
      // the parameters go with every slice
      unitBytes: shardBytes + parameters.byteLength,
      onceBytes: 0,
      mostUnits: Math.max(
        1,
        Math.min(
          Math.floor(MESSAGE_BYTES / shardBytes),
          Math.floor(2 ** ((ANSWER_BYTES / 8 / parameters.length - 1) / 2))
        )
      ),
      rateKey: load.program,
      load,
      inputs(first, count) {
        const from = begin + first * shardSize
        const to = Math.min(end, from + count * shardSize)
        const input: Input = {
          parameters,
          x: x.data.subarray(from * x.cols, to * x.cols),
          y: y.subarray(from * outputs, to * outputs),
          shards,
          first,
          count
        }
        return [encodeValue(input)]
      },
      pack: ([outcome]) => outcome ?? malformed,
      reducer: createReducer(),
      createReducer,
      share: [shards, total]
    }
  }

  function apply({ gradient, loss, correct }: Sums, step: number): void {
    const samples = samplesOf(step)
    decay1 *= BETA1
    decay2 *= BETA2
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i]! / samples
      if (optimizer === 'sgd') {
        parameters[i] = parameters[i]! - learningRate * g
        continue
      }
      momentum[i] = BETA1 * momentum[i]! + (1 - BETA1) * g
      variance[i] = BETA2 * variance[i]! + (1 - BETA2) * g * g
      const size = Math.sqrt(variance[i]! / (1 - decay2)) + EPSILON
      parameters[i] = parameters[i]! - (learningRate * (momentum[i]! / (1 - decay1))) / size
    }
    if (step % batches === 0) history.push({ loss: 0, accuracy: 0 })
    const epoch = history.at(-1)!
    epoch.loss += loss / x.rows
    epoch.accuracy += correct
    if (step % batches === batches - 1) epoch.accuracy /= x.rows
  }

  return {
    total,
    async next(step, run) {
      if (step != null) apply(decodeValue(await current.reducer.finish(run(current))) as Sums, step)
      const following = step == null ? 0 : step + 1
      if (following === steps) return []
      current = partOf(following)
      return [[following, current]]
    },
    finish: async () =>
      encodeValue({ model: { layers: describeLayers(layers, parameters) }, epochs: history })
  }
}

function expectSums(value: unknown, length: number): void {
  const { gradient, loss, correct } = (value ?? {}) as Partial<Sums>
  if (!(gradient instanceof Float64Array) || gradient.length !== length)
    throw new ProtocolError(`a result has no gradient of ${length} numbers`)
  if (typeof loss !== 'number' || !Number.isInteger(correct))
    throw new ProtocolError('a result has no loss or number of hits')
}
