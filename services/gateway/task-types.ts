import { z } from 'zod'
import { TASK_TYPES, type TaskType, TYPE_LIMITS, taskSchema } from '../../scheduler/index.ts'
import type * as Wire from './schema.ts'

type Description = { description: string; example: Wire.TaskSpec }

/** One small example of each type; a test runs them all. */
const DESCRIPTIONS: Record<TaskType, Description> = {
  range_reduce: {
    description: 'Reduces map(x) over the integers from start to end, both inclusive.',
    example: { type: 'range_reduce', start: 1, end: 1_000_000, map: 'x => x * x', operation: 'sum' }
  },
  map: {
    description: 'fn of every item, in order.',
    example: { type: 'map', items: ['one', 'two', 'three'], fn: 's => s.toUpperCase()' }
  },
  filter: {
    description: 'The items for which fn is true, in order.',
    example: { type: 'filter', items: [1, 2, 3, 4, 5, 6], fn: 'x => x % 2 === 0' }
  },
  map_reduce: {
    description: 'Maps and reduces; map that returns [key, value] gives a reduction per key.',
    example: {
      type: 'map_reduce',
      items: ['to be or not', 'to be'],
      map: 'line => line.split(" ").map(word => [word, 1])',
      reduce: 'sum'
    }
  },
  matrix: {
    description: 'Products, sums and decompositions of matrices.',
    example: {
      type: 'matrix',
      operation: 'multiply',
      a: { rows: 2, cols: 2, data: [1, 2, 3, 4] },
      b: { rows: 2, cols: 2, data: [0, 1, 1, 0] }
    }
  },
  ml_inference: {
    description: 'Runs an ONNX model over the rows of its input, in batches.',
    example: {
      type: 'ml_inference',
      model: { cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' },
      input: { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] }
    }
  },
  ml_train_step: {
    description:
      'Trains a small network by synchronous steps; every worker returns the gradient of its shard.',
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
    }
  },
  wasm: {
    description:
      'Calls an export of a WebAssembly module, or runs a WASI command. In JSON the module goes by CID.',
    example: {
      type: 'wasm',
      module: { cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' },
      export: 'square',
      items: [1, 2, 3]
    }
  },
  script: {
    description: 'One run of a JavaScript module whose default export takes the input.',
    example: {
      type: 'script',
      source: 'export default async input => ({ hello: input.name })',
      input: { name: 'world' }
    }
  },
  pipeline: {
    description: 'Tasks that take the outputs of others; independent ones run at the same time.',
    example: {
      type: 'pipeline',
      nodes: [
        { id: 'squares', task: { type: 'map', items: [1, 2, 3], fn: 'x => x * x' } },
        {
          id: 'sum',
          task: { type: 'map_reduce', map: 'x => x', reduce: 'sum' },
          dependsOn: ['squares'],
          input: { items: 'squares' }
        }
      ]
    }
  }
}

const CID = {
  type: 'object',
  properties: { cid: { type: 'string' }, as: { type: 'string' }, size: { type: 'integer' } },
  required: ['cid']
}

/** JSON has no bytes, typed arrays or functions: what stands in their place. */
function inJson({
  zodSchema,
  jsonSchema
}: {
  zodSchema: z.core.$ZodTypes
  jsonSchema: z.core.JSONSchema.BaseSchema
}) {
  const takes = (value: unknown): boolean => z.safeParse(zodSchema, value).success
  const { type } = zodSchema._zod.def
  if (type === 'bigint') Object.assign(jsonSchema, { type: 'integer' })
  // functions are given as their source text, which the union names too
  else if (type === 'custom' && !takes(() => 0))
    Object.assign(jsonSchema, takes([]) ? { anyOf: [{ type: 'array' }, CID] } : CID)
  else if (type === 'union') {
    const choices = jsonSchema.anyOf?.map(choice => JSON.stringify(choice)) ?? []
    const distinct = [...new Set(choices)].filter(choice => choice !== '{}').map(choice => JSON.parse(choice))
    if (distinct.length > 0) jsonSchema.anyOf = distinct
  }
}

let views: Wire.TaskType[] | undefined

/** What GET /types answers. Made when first asked for: a node starts faster without. */
export function taskTypeViews(): Wire.TaskType[] {
  if (views != null) return views
  const schemas = new Map(
    taskSchema.options.map(option => [
      option.shape.type.value,
      z.toJSONSchema(option, { io: 'input', unrepresentable: 'any', override: inJson })
    ])
  )
  views = TASK_TYPES.map(type => ({
    type,
    ...DESCRIPTIONS[type],
    schema: schemas.get(type) as Record<string, unknown>,
    limits: TYPE_LIMITS[type]
  }))
  return views
}
