import { z } from 'zod'
import { onnxClass } from '../../../sandbox/index.ts'
import { bytes, tensor } from '../fields.ts'
import { defineKind } from '../kind.ts'
import { checkModel, emptyInputs } from '../onnx/check-model.ts'
import { planInference, probeInference } from '../onnx/plan-inference.ts'

// Logistic regression of Fisher's irises (setosa, versicolor, virginica) by four lengths in cm.
const IRIS =
  'CAg64gEKIgoCY20KAXcKAWISAXoiBEdlbW0qDQoGdHJhbnNCGAGgAQIKIgoBehIHc3BlY2llcyIHU29mdG1heCoLCgRheGlzGAGg' +
  'AQISBWdyYXBoKjsIAwgEEAFCAXdKMMe62L75oHc/KxghwIEmir/+1Ag/waikvoZaU76KsHG/07zjvZhMJb92Ty5AY38BQCoVCAMQ' +
  'AUIBYkoMJJcdQUkuD0C3YkHBWhsKAmNtEhUKEwgBEg8KCRIHZmxvd2VycwoCCARiIAoHc3BlY2llcxIVChMIARIPCgkSB2Zsb3dl' +
  'cnMKAggDQgQKABAN'

/** Runs a model over rows. */
export const mlInference = defineKind({
  type: 'ml_inference',
  fields: {
    model: bytes.describe('an ONNX model; in JSON by CID, or base64'),
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
  // sizes of what is given already would have to go with those of what is not
  placeholders: (fields, { model, input }) =>
    input === undefined && fields.every(field => field === 'input' || /^input\.[^.]+$/.test(field))
      ? emptyInputs(bytes.safeParse(model).data)
      : undefined,
  example: {
    type: 'ml_inference',
    model: IRIS,
    input: { dims: [3, 4], data: [5.1, 3.5, 1.4, 0.2, 7.0, 3.2, 4.7, 1.4, 6.3, 3.3, 6.0, 2.5] }
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
