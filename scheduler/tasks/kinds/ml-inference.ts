import { z } from 'zod'
import { onnxClass } from '../../../sandbox/index.ts'
import { bytes, tensor } from '../fields.ts'
import { defineKind } from '../kind.ts'
import { checkModel } from '../onnx/check-model.ts'
import { planInference, probeInference } from '../onnx/plan-inference.ts'

/** Runs a model over rows. */
export const mlInference = defineKind({
  type: 'ml_inference',
  fields: {
    model: bytes.describe('an ONNX model; by CID in JSON'),
    externalData: z
      .record(z.string().min(1).max(1024), bytes)
      .optional()
      .describe('what the model keeps outside, by the locations that it names'),
    /** a tensor, or one per input of the model by name */
    input: z.union([tensor, z.record(z.string(), tensor)]),
    /** rows of the first dimension that the model sees at once */
    batchSize: z.int().positive().max(65_536).optional()
  },
  description:
    'Runs an ONNX model on tensors. Where its operators keep the rows of the inputs apart, these are cut into batches.',
  limits: { timeoutMs: 120_000, items: 1e7 },
  runtime: onnxClass,
  pipelineField: 'input',
  example: {
    type: 'ml_inference',
    model: { cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' },
    input: { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] }
  },
  check(spec, { limit }) {
    const { input } = spec
    const tensors = Array.isArray(input.dims) ? [input] : Object.values(input)
    limit(
      'input',
      tensors.reduce((sum, { data }) => sum + data.length, 0)
    )
    const { inputs } = checkModel(spec)
    return { ...spec, input: Array.isArray(input.dims) ? Object.values(inputs)[0]! : inputs }
  },
  probe: probeInference,
  plan: planInference
})
