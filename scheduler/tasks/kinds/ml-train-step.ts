import { decodeValue, encodeValue } from '../../../sandbox/index.ts'
import { ProtocolError, SpecError } from '../../errors.ts'
import { type LoadMessageOf, malformed, type Part, type Work } from '../contract.ts'
import { driverSource, encodeContext, treeReducer } from '../drivers.ts'
import { foldBlocks } from '../fold-tree.ts'
import type { TrainSpec } from '../schema.ts'

type Numbers = Float64Array | Float32Array
type Activation = TrainSpec['model']['layers'][number]['activation']

interface Layer {
  inputs: number
  units: number
  activation: Activation
}

interface Context {
  layers: Layer[]
  loss: TrainSpec['loss']
  shardSize: number
  /** `y` has the number of a class per sample, not a row of targets */
  classes: boolean
}

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

/** Sums over samples; what a tree node carries. */
interface Sums {
  gradient: Float64Array
  loss: number
  correct: number
}

/** Throws SpecError where layers, data and loss do not fit together. */
export function checkTraining({ model, data, loss, shardSize, batchSize }: TrainSpec): void {
  const { x, y } = data
  const { layers } = model
  let inputs = x.cols
  layers.forEach(({ units, activation, weights, bias }, i) => {
    const at = `model.layers.${i}`
    if ((weights == null) !== (bias == null))
      throw new SpecError(at, '`weights` and `bias` go together; give both or neither')
    if (weights != null && weights.length !== inputs * units)
      throw new SpecError(
        `${at}.weights`,
        `has ${weights.length} numbers, inputs × units is ${inputs} × ${units} = ${inputs * units}`
      )
    if (bias != null && bias.length !== units)
      throw new SpecError(
        `${at}.bias`,
        `has ${bias.length} numbers, one for each of ${units} units is needed`
      )
    if (activation === 'softmax' && (i < layers.length - 1 || loss !== 'cross-entropy'))
      throw new SpecError(
        `${at}.activation`,
        '`softmax` goes with the last layer and `loss: "cross-entropy"`'
      )
    inputs = units
  })
  const count = layers.reduce((sum, { units }, i) => sum + ((layers[i - 1]?.units ?? x.cols) + 1) * units, 0)
  if (count > MAX_PARAMETERS)
    throw new SpecError('model.layers', `have ${count} parameters, at most ${MAX_PARAMETERS} travel`)
  const last = layers.at(-1)!
  if (loss === 'cross-entropy' && last.activation !== 'softmax' && last.activation !== 'sigmoid')
    throw new SpecError(
      'loss',
      `cross-entropy needs probabilities: the last layer must be softmax or sigmoid, not ${last.activation}`
    )
  if (shardSize != null && shardSize > batchSize)
    throw new SpecError('shardSize', `${shardSize} is more than batchSize ${batchSize}`)
  if ('rows' in y) {
    if (y.rows !== x.rows || y.cols !== last.units)
      throw new SpecError(
        'data.y',
        `is ${y.rows} × ${y.cols}; ${x.rows} samples and ${last.units} outputs need ${x.rows} × ${last.units}`
      )
    return
  }
  if (y.length !== x.rows) throw new SpecError('data.y', `has ${y.length} classes for ${x.rows} samples`)
  const wrong = y.find(value => !Number.isInteger(value) || value < 0 || value >= last.units)
  if (wrong !== undefined)
    throw new SpecError(
      'data.y',
      `${wrong} is not a class from 0 to ${last.units - 1}, the last layer's units`
    )
}

/**
 * Sums of gradient, loss and hits over samples, one after the other, in float64. Backpropagation as in Rumelhart,
 * Hinton, Williams, "Learning representations by back-propagating errors", 1986. Self-contained.
 * Losses per sample: mse = mean of (p − t)² over the outputs; cross-entropy = −Σ t ln p, for sigmoid outputs
 * −Σ (t ln p + (1 − t) ln(1 − p)).
 */
export function createNetwork({ layers, loss: lossName, classes }: Context) {
  const outputs = layers[layers.length - 1]!.units
  const parameterCount = layers.reduce((sum, { inputs, units }) => sum + (inputs + 1) * units, 0)
  const TINY = 1e-300 // keeps ln finite

  function activate(z: Float64Array, activation: Activation): void {
    const n = z.length
    if (activation === 'relu') for (let j = 0; j < n; j++) z[j] = Math.max(z[j]!, 0)
    else if (activation === 'sigmoid') for (let j = 0; j < n; j++) z[j] = 1 / (1 + Math.exp(-z[j]!))
    else if (activation === 'tanh') for (let j = 0; j < n; j++) z[j] = Math.tanh(z[j]!)
    else if (activation === 'softmax') {
      let top = Number.NEGATIVE_INFINITY
      for (let j = 0; j < n; j++) top = Math.max(top, z[j]!)
      let sum = 0
      for (let j = 0; j < n; j++) {
        z[j] = Math.exp(z[j]! - top)
        sum += z[j]!
      }
      for (let j = 0; j < n; j++) z[j] = z[j]! / sum
    }
  }

  /** derivative of an activation by its own output */
  function slope(p: number, activation: Activation): number {
    if (activation === 'relu') return p > 0 ? 1 : 0
    if (activation === 'sigmoid') return p * (1 - p)
    return activation === 'tanh' ? 1 - p * p : 1
  }

  function forward(parameters: Float64Array, sample: Numbers): Float64Array[] {
    const values = [Float64Array.from(sample)]
    let at = 0
    for (const { inputs, units, activation } of layers) {
      const from = values[values.length - 1]!
      const bias = at + inputs * units
      const z = parameters.slice(bias, bias + units)
      for (let i = 0; i < inputs; i++) {
        const value = from[i]!
        if (value === 0) continue // adds nothing; images are mostly 0
        const row = at + i * units
        for (let j = 0; j < units; j++) z[j] = z[j]! + value * parameters[row + j]!
      }
      activate(z, activation)
      values.push(z)
      at = bias + units
    }
    return values
  }

  function sums(parameters: Float64Array, x: Numbers, y: Numbers, samples: number): Sums {
    const gradient = new Float64Array(parameterCount)
    const inputs = layers[0]!.inputs
    const target = new Float64Array(outputs)
    let loss = 0
    let correct = 0
    for (let s = 0; s < samples; s++) {
      const values = forward(parameters, x.subarray(s * inputs, (s + 1) * inputs))
      const p = values[values.length - 1]!
      if (classes) {
        target.fill(0)
        target[y[s]!] = 1
      } else target.set(y.subarray(s * outputs, (s + 1) * outputs))
      const { activation } = layers[layers.length - 1]!
      let delta = new Float64Array(outputs)
      for (let j = 0; j < outputs; j++) {
        const difference = p[j]! - target[j]!
        if (lossName === 'mse') {
          loss += (difference * difference) / outputs
          delta[j] = ((2 * difference) / outputs) * slope(p[j]!, activation)
        } else {
          // the derivatives of loss and activation together
          delta[j] = difference
          loss -= target[j]! * Math.log(Math.max(p[j]!, TINY))
          if (activation === 'sigmoid') loss -= (1 - target[j]!) * Math.log(Math.max(1 - p[j]!, TINY))
        }
      }
      if (hit(p, target)) correct++
      let end = parameterCount
      for (let l = layers.length - 1; l >= 0; l--) {
        const { inputs, units } = layers[l]!
        const from = values[l]!
        const bias = end - units
        const at = bias - inputs * units
        const back = new Float64Array(inputs)
        for (let j = 0; j < units; j++) gradient[bias + j] = gradient[bias + j]! + delta[j]!
        for (let i = 0; i < inputs; i++) {
          const row = at + i * units
          const value = from[i]!
          if (value !== 0)
            for (let j = 0; j < units; j++) gradient[row + j] = gradient[row + j]! + value * delta[j]!
          if (l === 0) continue
          let sum = 0
          for (let j = 0; j < units; j++) sum += parameters[row + j]! * delta[j]!
          back[i] = sum * slope(value, layers[l - 1]!.activation)
        }
        delta = back
        end = at
      }
    }
    return { gradient, loss, correct }
  }

  /** One output counts as yes or no, several as the number of the greatest. */
  function hit(p: Float64Array, target: Float64Array): boolean {
    if (outputs === 1) return p[0]! >= 0.5 === target[0]! >= 0.5
    let a = 0
    let b = 0
    for (let j = 1; j < outputs; j++) {
      if (p[j]! > p[a]!) a = j
      if (target[j]! > target[b]!) b = j
    }
    return a === b
  }

  return { sums }
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
// What one slice may answer: a slice of n shards is at most 2 log₂ n + 1 gradients.
const ANSWER_BYTES = 16 * 1024 * 1024
const MAX_PARAMETERS = ANSWER_BYTES / 8
// Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, section 2
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8]

/**
 * Synchronous data-parallel training. Each step is a part of the job and depends on the one before: a unit is one
 * shard of the batch, its output the sum of its gradient; the sums are added in the fixed tree, divided by the number
 * of samples and applied here. So the weights have the same bits for any number of workers.
 * The result is `{ model: { layers }, epochs: [{ loss, accuracy }] }`, means over the samples as they were met.
 */
export function trainWork(spec: TrainSpec, loadOf: LoadMessageOf): Work {
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
    return {
      units: shards,
      mostUnits: Math.max(
        1,
        Math.min(
          Math.floor(MESSAGE_BYTES / (shardSize * (x.cols + outputs) * 8)),
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

function layersOf({ model, data }: TrainSpec): Layer[] {
  let inputs = data.x.cols
  return model.layers.map(({ units, activation }) => {
    const layer = { inputs, units, activation }
    inputs = units
    return layer
  })
}

/** The given weights; else uniform within ±√(6 / (inputs + units)) (Glorot, Bengio 2010) and bias 0. */
function initialParameters({ model }: TrainSpec, layers: Layer[]): Float64Array {
  let state = 0x9e3779b9
  // xorshift32 (Marsaglia 2003)
  const random = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return Float64Array.from(
    layers.flatMap(({ inputs, units }, i) => {
      const { weights, bias } = model.layers[i]!
      if (weights != null && bias != null) return [...weights, ...bias]
      const most = Math.sqrt(6 / (inputs + units))
      return [
        ...Array.from({ length: inputs * units }, () => (2 * random() - 1) * most),
        ...new Float64Array(units)
      ]
    })
  )
}

function describeLayers(layers: Layer[], parameters: Float64Array) {
  let at = 0
  return layers.map(({ inputs, units, activation }) => {
    const bias = at + inputs * units
    const layer = {
      units,
      activation,
      weights: parameters.slice(at, bias),
      bias: parameters.slice(bias, bias + units)
    }
    at = bias + units
    return layer
  })
}
