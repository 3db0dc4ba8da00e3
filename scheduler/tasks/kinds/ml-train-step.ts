import { defineKind } from '../kind.ts'
import { checkTraining } from '../training/check-training.ts'
import { training } from '../training/model.ts'
import { trainWork } from '../training/train-work.ts'

/** Synchronous training: a stage per step. */
export const mlTrainStep = defineKind({
  type: 'ml_train_step',
  fields: training,
  description: 'Trains a small network by synchronous steps; every worker returns the gradient of its shard.',
  limits: { timeoutMs: 300_000, items: 5e7 },
  pipelineField: 'data',
  example: {
    type: 'ml_train_step',
    model: { layers: [{ units: 4, activation: 'tanh' }, { units: 1 }] },
    data: {
      x: { rows: 4, cols: 2, data: [0, 0, 0, 1, 1, 0, 1, 1] },
      y: { rows: 4, cols: 1, data: [0, 1, 1, 0] }
    },
    loss: 'mse',
    learningRate: 0.1,
    epochs: 2
  },
  check(spec, { limit }) {
    limit('data', spec.data.x.data.length)
    checkTraining(spec)
    return spec
  },
  work: (spec, { loadOf }) => trainWork(spec, loadOf)
})
