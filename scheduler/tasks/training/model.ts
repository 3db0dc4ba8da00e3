import { z } from 'zod'
import { matrixValue, numbers } from '../fields.ts'

const ACTIVATIONS = ['linear', 'relu', 'sigmoid', 'tanh', 'softmax'] as const

const layer = z.strictObject({
  units: z.int().positive().max(1e6),
  activation: z.enum(ACTIVATIONS).default('linear'),
  /** inputs × units, row-major; without: Glorot's uniform distribution, from a fixed seed */
  weights: numbers.optional(),
  bias: numbers.optional()
})

/** What a training takes. */
export const training = {
  model: z.strictObject({ layers: z.array(layer).min(1).max(100) }),
  /** `y`: a row of targets per row of `x`, or the number of its class */
  data: z.strictObject({ x: matrixValue, y: z.union([matrixValue, numbers]) }),
  loss: z.enum(['mse', 'cross-entropy']),
  optimizer: z.enum(['sgd', 'adam']).default('sgd'),
  learningRate: z.number().positive().max(1e3),
  batchSize: z.int().positive().default(32),
  epochs: z.int().positive().max(100_000).default(1),
  /** samples whose gradient is summed as one; a batch is spread over workers by shards */
  shardSize: z.int().positive().optional()
}
export type Training = z.output<z.ZodObject<typeof training>>
export type Activation = Training['model']['layers'][number]['activation']

export interface Layer {
  inputs: number
  units: number
  activation: Activation
}

export function layersOf({ model, data }: Training): Layer[] {
  let inputs = data.x.cols
  return model.layers.map(({ units, activation }) => {
    const layer = { inputs, units, activation }
    inputs = units
    return layer
  })
}

/** The given weights; else uniform within ±√(6 / (inputs + units)) (Glorot, Bengio 2010) and bias 0. */
export function initialParameters({ model }: Training, layers: Layer[]): Float64Array {
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

export function describeLayers(layers: Layer[], parameters: Float64Array) {
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
