import { SpecError } from '../../errors.ts'
import type { Training } from './model.ts'
// What one slice may answer: a slice of n shards is at most 2 log₂ n + 1 gradients.
export const ANSWER_BYTES = 16 * 1024 * 1024
const MAX_PARAMETERS = ANSWER_BYTES / 8

/** Throws SpecError where layers, data and loss do not fit together. */
export function checkTraining({ model, data, loss, shardSize, batchSize }: Training): void {
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
